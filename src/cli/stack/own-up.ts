/**
 * The Drover that `run` and `demo` talk to: the one that is up in the data directory when it has the model that is
 * asked for, else one of their own, with its own port, namespace and data directory, that ends with them.
 */
import { randomBytes } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../../config/settings.ts'
import { newToken, tokenHash, writeToken } from '../../core/token.ts'
import { makeDataDir } from './data-dir.ts'
import { vouchFor } from './redis.ts'
import { startRole, type Role } from './role.ts'
import { findUp, type RunningUp } from './up-file.ts'
import { patienceOf } from './up.ts'
import { toolsDirOf } from './tools.ts'

export interface OwnUpOptions {
  readonly config: Config
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Folder of the data directory that gets this run's own: `runs`, `demo`. */
  readonly folder: string
  /** The rehearsal script; null: the real model. */
  readonly rehearsal: string | null
  /** The only directory that sessions may work in. */
  readonly workspace: string
  /** A directory made before, to be used as the data directory. */
  readonly dataDir?: string
  /** It goes on when this process has ended. */
  readonly keep: boolean
  readonly say: (line: string) => void
}

export interface UsedUp {
  readonly url: string
  /** What its board asks for: of an own one a token that was made for this call; null where it asks for none. */
  readonly token: string | null
  /** True when it was started for this call. */
  readonly own: boolean
  readonly dataDir: string
  readonly ledger: string
  readonly pid: number
  /**
   * Ends an own one, and removes all but the ledger and the workspace. `hurry`: its agents are ended, not waited for.
   * Nothing happens to one that was up before.
   */
  stop(hurry: boolean): Promise<void>
  /** Leaves an own one running. */
  release(): void
}

/** What stays of an own data directory. */
const KEPT = /^(orchestrator\.db(-wal|-shm)?|claude_invocations\.db|workspace)$/

/** A fresh directory for one run under the data directory: `demo/20260102-030405-1a2b`. */
export async function makeRunDir(config: Config, folder: string): Promise<string> {
  const stamp = new Date().toISOString().replaceAll(/[-:]/g, '').replace('T', '-').slice(0, 15)
  const dir = join(config.dataDir, folder, `${stamp}-${randomBytes(2).toString('hex')}`)
  await makeDataDir(dir)
  return dir
}

export async function useUp(options: OwnUpOptions): Promise<UsedUp> {
  const { config, say } = options
  const present = await findUp(config.dataDir)
  if (present !== null && !options.keep && fits(present, options)) {
    say(`using the Drover that is up at ${present.url}`)
    return {
      url: present.url,
      token: config.client.token,
      own: false,
      dataDir: config.dataDir,
      ledger: join(config.dataDir, 'orchestrator.db'),
      pid: present.pid,
      stop: async () => {},
      release: () => {},
    }
  }
  const dataDir = options.dataDir ?? (await makeRunDir(config, options.folder))
  const namespace = `${options.folder}-${randomBytes(4).toString('hex')}`
  // The configuration's tokens hold for an own one too, and theirs are not known here.
  const token = config.board.tokens.length === 0 ? null : newToken()
  const role = await startOwn(options, { dataDir, namespace, token }).catch(async (error: unknown) => {
    await cleanUp(dataDir)
    throw error
  })
  return {
    url: String(role.ready.url),
    token,
    own: true,
    dataDir,
    ledger: join(dataDir, 'orchestrator.db'),
    pid: role.pid,
    async stop(hurry) {
      const stopped = role.stop(patienceOf(config))
      if (hurry) role.hurry()
      await stopped
      if (config.redis.url !== null) await removeNamespace(config.redis.url, namespace)
      await cleanUp(dataDir)
    },
    release: () => role.release(),
  }
}

/** The one that is up has the same model and types, and may work where this run wants to. */
function fits(up: RunningUp, { config, rehearsal, workspace }: OwnUpOptions): boolean {
  const inside = (root: string): boolean => workspace === root || workspace.startsWith(`${root}/`)
  return up.rehearsal === rehearsal && up.agent_specs === config.agentSpecs && up.roots.some(inside)
}

interface OwnPlace {
  readonly dataDir: string
  readonly namespace: string
  readonly token: string | null
}

async function startOwn(options: OwnUpOptions, { dataDir, namespace, token }: OwnPlace): Promise<Role> {
  const { config, env, rehearsal } = options
  // The namespace was made a moment ago and nobody else knows its name: nobody can hold a lease of it.
  if (config.redis.url !== null) await vouchFor(config.redis.url, namespace, 'new')
  const model = rehearsal === null ? [] : [`--rehearse=${rehearsal}`]
  return await startRole({
    args: ['up', ...model],
    cwd: options.cwd,
    logFile: join(dataDir, 'drover.log'),
    detached: options.keep,
    env: {
      ...env,
      DROVER_DATA_DIR: dataDir,
      DROVER_TOOLS_DIR: toolsDirOf(config),
      DROVER_NAMESPACE: namespace,
      DROVER_HOST: '127.0.0.1',
      DROVER_PORT: '0',
      ...(token === null ? {} : { DROVER_TOKENS: [...config.board.tokens, ownLine(token)].join(',') }),
      DROVER_WORKSPACE_ROOTS: options.workspace,
      ...(config.agentSpecs === null ? {} : { DROVER_AGENT_SPECS: config.agentSpecs }),
      // Somebody waits for this one session: it starts also on a busy machine.
      DROVER_MIN_FREE_CPU_PERCENT: '0',
      DROVER_MIN_FREE_MEMORY_MB: '0',
      DROVER_MIN_FREE_DISK_MB: '0',
    },
  })
}

function ownLine(token: string): string {
  return writeToken({ name: 'run', scopes: ['admin'], hash: tokenHash(token) })
}

async function cleanUp(dataDir: string): Promise<void> {
  for (const entry of await readdir(dataDir).catch(() => [])) {
    if (!KEPT.test(entry)) await rm(join(dataDir, entry), { recursive: true, force: true })
  }
}

/** What an own namespace left in a Redis that is not ours. */
async function removeNamespace(redisUrl: string, namespace: string): Promise<void> {
  const { connectRedis } = await import('../../queue/connection.ts')
  const redis = await connectRedis({ url: redisUrl, mode: 'waits', name: 'clean-up', onError: () => {} })
  const pattern = `{drover:${namespace}}*`
  let cursor = '0'
  do {
    const [next, found] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', 1000)
    if (found.length > 0) await redis.unlink(...found)
    cursor = next
  } while (cursor !== '0')
  redis.disconnect()
}

/**
 * The field: real Redis, a board with recorder and ledger, any number of pods behind proxies, the fake CLI and its
 * witness, at about a twentieth of real time. README.md beside the tests says how it is used.
 */
import { writeFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { createProducer, type Producer, type SpawnOptions } from '../../../src/index.ts'
import { keysOf, type Keys } from '../../../src/queue/keys.ts'
import { openDrover } from '../../support/drover.ts'
import {
  FAKE_CLAUDE,
  fakePrompt,
  readWitness,
  type FakeScript,
  type WitnessRecord,
} from '../../support/fake-claude.ts'
import { createScratch, type Scratch } from '../../support/leaks.ts'
import { startRedis, type TestRedis } from '../../support/redis.ts'
import { watchStandstill } from '../../support/standstill.ts'
import { until } from '../../support/until.ts'
import { openFieldLedger, type FieldLedger, type SessionRow } from './ledger.ts'
import { MONOTONIC_OFFSET, createFieldPod, type FieldPod } from './pod.ts'
import type { Freeze } from './lives.ts'
import { signalAll, type AgentProcess } from './processes.ts'
import { createProxy } from './proxy.ts'
import { chooseSeed, createRandom, type Random } from './random.ts'
import { startRole, type Role } from './role.ts'
import { environmentOf, specsOf, TIMES, type FieldTimes, type WrittenSpecs } from './settings.ts'

export type { FieldTimes } from './settings.ts'

export interface FieldOptions {
  /** Pods to start with. */
  readonly pods: number
  /** @default `DROVER_FAULT_SEED`, else a fresh one; printed */
  readonly seed?: number
  /** Agent types with members of their specs. @default architect */
  readonly types?: WrittenSpecs
  readonly times?: Partial<FieldTimes>
  /** Further environment of all roles. */
  readonly env?: Readonly<Record<string, string>>
  /** One data directory for all pods, as on one machine; else each has its own. @default false */
  readonly sharedDataDir?: boolean
  /** Redis keeps every acknowledged write on the disk. @default 'always' */
  readonly aof?: 'always' | 'none'
  /** Spares the field the wait for the first confirmation of Redis. @default true */
  readonly seeded?: boolean
  /** A board with the recorder. @default true */
  readonly board?: boolean
}

export interface PodOptions {
  /** @default pod-<n> */
  readonly id?: string
  /** @default all */
  readonly types?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Another pod's, to come back as that pod would after its worker died. */
  readonly dataDir?: string
}

export interface Field {
  readonly seed: number
  readonly random: Random
  readonly times: FieldTimes
  readonly namespace: string
  readonly keys: Keys
  /** Straight to Redis, past the proxies. */
  readonly redis: Redis
  readonly producer: Producer
  readonly workspace: string
  readonly witnessDir: string
  readonly ledger: FieldLedger
  readonly scratch: Scratch
  /** All that were started, the dead ones too. */
  readonly pods: readonly FieldPod[]
  readonly freezes: readonly Freeze[]
  /** Sessions whose spawn was acknowledged, in that order. Who asks for one past `spawn` adds it. */
  readonly accepted: string[]
  /** What the witness saw so far, in the order of time. */
  witness(): WitnessRecord[]
  startPod(options?: PodOptions): Promise<FieldPod>
  /** The board's process: `kill()`, `stop()`, `ready.url`. Throws where there is none. */
  board(): Role
  /** After its end, or without one so far; with further environment, such as a `REDIS_URL` behind a proxy. */
  startBoard(env?: Readonly<Record<string, string>>): Promise<Role>
  /** SIGKILL to the Redis server; resolves when it is gone. */
  killRedis(): Promise<void>
  /** On the same port, with the data it had, or with none. */
  startRedisAgain(options?: { readonly empty?: boolean }): Promise<void>
  redisPid(): number
  /** Spawns a session whose agent does what the script says; resolves with its id when it is acknowledged. */
  spawn(script: FakeScript, options?: Partial<SpawnOptions>): Promise<string>
  /** Agents whose script has `until_file` with this name finish. */
  tell(file: string): void
  /** Waits until an agent of the session runs (another one than `not`), and where. */
  agentOf(sessionId: string, not?: string): Promise<AgentProcess & { readonly pod: FieldPod }>
  /** Waits until the ledger has an event of the type; with `count`, so many. */
  recorded(sessionId: string, type: string, count?: number): Promise<void>
  /** Waits for a session's end in the ledger. */
  ended(sessionId: string, timeoutMs?: number): Promise<SessionRow>
  /** Waits until every acknowledged session has ended and the ledger has all of the stream. */
  settled(timeoutMs?: number): Promise<void>
  /** Milliseconds on the witness' clock. */
  now(): number
  /** For how long the machine stood still between two moments of `now()` (ms): what a bound is not to count. */
  stoodStill(from: number, to?: number): number
  /** Ends everything; fails where a process, port or file is left, or a role did not stop. */
  close(): Promise<void>
}

const END_STATES = new Set(['completed', 'failed', 'cancelled'])
const WAIT_MS = 30_000

export async function openField(options: FieldOptions): Promise<Field> {
  const seed = options.seed ?? chooseSeed()
  // The one command that repeats a run: DROVER_FAULT_SEED=<seed> npx vitest run <file>
  process.stderr.write(`fault rig: seed ${seed} (DROVER_FAULT_SEED=${seed})\n`)
  const random = createRandom(seed)
  const times = { ...TIMES, ...options.times }
  const types = options.types ?? { architect: {} }
  const scratch = await createScratch({ settleMs: 8000 })
  const at = (...names: readonly string[]): string => join(scratch.dir, ...names)
  const [workspace, witnessDir, redisDir, specs] = [at('work'), at('witness'), at('redis'), at('specs.json')]
  for (const dir of [workspace, witnessDir, redisDir]) await mkdir(dir)
  await writeFile(specs, JSON.stringify(specsOf(types)))

  const aof = options.aof === 'none' ? {} : ({ aof: 'always' } as const)
  let server: TestRedis = await startRedis({ ...aof, dir: redisDir })
  const { port } = server
  const namespace = `fault-${seed % 100_000}`
  const keys = keysOf(namespace)
  const redis = new Redis(server.url, { maxRetriesPerRequest: null, retryStrategy: () => 50 })
  redis.on('error', () => undefined)
  if (options.seeded !== false) await redis.set(keys.seeded, await runIdOf(redis))
  const producer = createProducer({ redisUrl: server.url, namespace })
  const drover = openDrover(scratch)
  const ledger = openFieldLedger(at('board', 'orchestrator.db'))
  const standstill = watchStandstill()
  const pods: FieldPod[] = []
  const freezes: Freeze[] = []
  const accepted: string[] = []
  let board: Role | null = null

  const environment = (redisUrl: string, dataDir: string): Record<string, string> => ({
    ...environmentOf(times),
    REDIS_URL: redisUrl,
    DROVER_NAMESPACE: namespace,
    DROVER_DATA_DIR: dataDir,
    DROVER_AGENT_SPECS: specs,
    DROVER_WORKSPACE_ROOTS: workspace,
    DROVER_CLAUDE_PATH: FAKE_CLAUDE,
    DROVER_WITNESS_DIR: witnessDir,
    ANTHROPIC_API_KEY: 'none',
    ...options.env,
  })

  async function startBoard(env: Readonly<Record<string, string>> = {}): Promise<Role> {
    const all = { ...environment(server.url, at('board')), ...env }
    board = await startRole(drover, ['board', '--port', '0'], all)
    return board
  }

  async function startPod(wanted: PodOptions = {}): Promise<FieldPod> {
    const id = wanted.id ?? `pod-${pods.length + 1}`
    const dataDir = wanted.dataDir ?? at(options.sharedDataDir === true ? 'pods' : id)
    const proxy = await createProxy(() => port, random.stream(`proxy ${id}`))
    const args = wanted.types === undefined ? ['worker'] : ['worker', '--types', wanted.types.join(',')]
    const role = await startRole(drover, args, {
      ...environment(`redis://127.0.0.1:${proxy.port}`, dataDir),
      DROVER_POD_ID: id,
      ...(board === null ? {} : { DROVER_URL: String(board.ready['url']) }),
      ...wanted.env,
    }).catch(async (error: unknown) => {
      await proxy.close()
      throw error
    })
    const pod = createFieldPod({ id, dataDir, proxy, role, freezes })
    pods.push(pod)
    return pod
  }

  async function ended(sessionId: string, timeoutMs = WAIT_MS): Promise<SessionRow> {
    return await until(
      () => {
        const row = ledger.session(sessionId)
        return row !== undefined && END_STATES.has(row.status) && row
      },
      { timeoutMs, message: () => `the end of ${describe(ledger, sessionId)}` },
    )
  }

  const field: Field = {
    seed,
    random,
    times,
    namespace,
    keys,
    redis,
    producer,
    workspace,
    witnessDir,
    ledger,
    scratch,
    pods,
    freezes,
    accepted,
    witness: () => readWitness(witnessDir),
    startPod,
    startBoard,
    board() {
      if (board === null) throw new Error('The field has no board.')
      return board
    },
    async killRedis() {
      process.kill(server.pid, 'SIGKILL')
      await server.stop()
    },
    async startRedisAgain({ empty = false } = {}) {
      if (empty) await rm(redisDir, { recursive: true })
      await mkdir(redisDir, { recursive: true })
      server = await startRedis({ ...aof, dir: redisDir, port })
    },
    redisPid: () => server.pid,
    async spawn(script, spawnOptions = {}) {
      const [agentType = ''] = Object.keys(types)
      const spawned = await producer.spawn({
        agentType,
        prompt: fakePrompt(script),
        workspaceDir: workspace,
        ...spawnOptions,
      })
      accepted.push(spawned.sessionId)
      return spawned.sessionId
    },
    tell: (file) => writeFileSync(join(workspace, file), ''),
    agentOf: (sessionId, not) =>
      until(
        () => {
          for (const pod of pods) {
            const agent = pod.agents().find((one) => one.sessionId === sessionId && one.agentId !== not)
            // Known to the witness too: from then on its life counts.
            if (agent && field.witness().some((record) => record.agent_id === agent.agentId))
              return { ...agent, pod }
          }
          return false
        },
        { timeoutMs: WAIT_MS, message: () => `an agent of ${describe(ledger, sessionId)}` },
      ),
    recorded: async (sessionId, type, count = 1) => {
      await until(() => ledger.events(sessionId).filter((event) => event.type === type).length >= count, {
        timeoutMs: WAIT_MS,
        message: () => `${count} × ${type} in ${describe(ledger, sessionId)}`,
      })
    },
    ended,
    async settled(timeoutMs = WAIT_MS) {
      const deadline = performance.now() + timeoutMs
      for (const sessionId of accepted) await ended(sessionId, Math.max(1, deadline - performance.now()))
      await until(async () => (await redis.get(keys.recorded)) === (await lastEntry(redis, keys.events)), {
        timeoutMs: Math.max(1, deadline - performance.now()),
        message: 'the ledger to have all of the stream',
      })
    },
    now: () => performance.now() + MONOTONIC_OFFSET,
    stoodStill: (from, to = Number.POSITIVE_INFINITY) => standstill.between(from, to),
    async close() {
      const problems: unknown[] = []
      const attempt = (ending: Promise<unknown>): Promise<unknown> =>
        ending.catch((error: unknown) => problems.push(error))
      await Promise.all(pods.map((pod) => attempt(pod.stop())))
      const strays = (): number[] => pods.flatMap((pod) => pod.strayGuards())
      await attempt(
        until(() => strays().length === 0, { timeoutMs: 2000, message: 'the guards of dead workers to end' }),
      )
      signalAll(strays(), 'SIGKILL')
      if (board !== null) await attempt(board.stop())
      await attempt(producer.close())
      redis.disconnect()
      ledger.close()
      await attempt(standstill.stop())
      await attempt(server.stop())
      await attempt(scratch.check())
      if (problems.length > 0) throw new AggregateError(problems, problems.map(String).join('\n'))
    },
  }

  try {
    if (options.board !== false) await startBoard()
    await Promise.all(
      Array.from({ length: options.pods }, (_, index) => startPod({ id: `pod-${index + 1}` })),
    )
  } catch (error) {
    await field.close().catch(() => undefined)
    throw error
  }
  return field
}

async function runIdOf(redis: Redis): Promise<string> {
  return /run_id:(\w+)/.exec(await redis.info('server'))?.[1] ?? ''
}

async function lastEntry(redis: Redis, stream: string): Promise<string> {
  const info = (await redis.xinfo('STREAM', stream)) as unknown[]
  return String(info[info.indexOf('last-generated-id') + 1])
}

/** A session for the message of a wait that was in vain: its row and its events so far. */
function describe(ledger: FieldLedger, sessionId: string): string {
  const row = ledger.session(sessionId)
  const events = ledger
    .events(sessionId)
    .filter((event) => event.line === null)
    .map((event) => `${event.seq} ${event.type} ${event.agent_id ?? ''} ${event.payload.slice(0, 200)}`)
  return [`session ${sessionId} (${row?.status ?? 'not in the ledger'})`, ...events].join('\n  ')
}

/**
 * Drover's own Redis, for who has configured none: data under the data directory, loopback only, started and stopped
 * with Drover.
 *
 * `dir` holds `appendonly…` (the data), `redis.log`, `owner.json.<n>` (the Drover process that has this directory) and
 * `redis.json` (the server it started). One directory has one live owner, because two servers on the same AOF would
 * destroy it. A server whose owner died is stopped before a new one starts.
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { sleep } from '../core/clock.ts'
import { DroverError } from '../core/errors.ts'
import { claim, identitySchema } from './claim.ts'
import type { Say } from './fetch.ts'
import { type ProcessIdentity, identityOf, isRunning } from './identity.ts'
import { type RedisBinary, startRedisProcess } from './redis-process.ts'

export interface EmbeddedRedis {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** True when the directory had no data: nobody can hold a lease from before. */
  readonly firstStart: boolean
  /** Resolves when the server is gone, also when it died by itself. */
  readonly exited: Promise<void>
  /** Ends the server and gives the directory up; resolves when both is done. Safe to call twice. */
  stop(): Promise<void>
}

export interface StartEmbeddedRedis {
  readonly binary: RedisBinary
  /** Made where it is missing. */
  readonly dir: string
  readonly say?: Say
}

const SETTINGS = {
  appendonly: 'yes',
  // Nothing that was acknowledged is lost; measured at 1,700–1,900 awaited adds a second.
  appendfsync: 'always',
  save: '',
  // An evicted key would be a lost session.
  'maxmemory-policy': 'noeviction',
} as const

const recordSchema = identitySchema.extend({ port: z.int() })

/**
 * Starts the server and resolves when it answers.
 * @throws DroverError `setup_failed` when the directory belongs to a live process, or the server did not start.
 */
export async function startEmbeddedRedis(options: StartEmbeddedRedis): Promise<EmbeddedRedis> {
  const { dir } = options
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const owned = await claim(join(dir, 'owner.json'))
  if ('owner' in owned) {
    throw new DroverError(
      'setup_failed',
      `The Redis data in ${dir} is in use by another Drover (pid ${owned.owner.pid}). ` +
        'Stop that one, or choose another DROVER_DATA_DIR.',
    )
  }
  try {
    await stopLeftover(dir, options.say)
    const firstStart = !(await readdir(dir)).some((name) => name.startsWith('appendonly'))
    const server = await startRedisProcess({ binary: options.binary, dir, settings: SETTINGS })
    await writeRecord(dir, server.pid, server.port)
    let stopping: Promise<void> | null = null
    const stop = async (): Promise<void> => {
      await server.stop()
      await rm(recordFile(dir), { force: true })
      await owned.release()
    }
    const { url, port, pid, exited } = server
    return { url, port, pid, exited, firstStart, stop: () => (stopping ??= stop()) }
  } catch (error) {
    await owned.release()
    throw error
  }
}

async function stopLeftover(dir: string, say: Say | undefined): Promise<void> {
  const leftover = await readRecord(dir)
  if (leftover === null || !(await isRunning(leftover))) return
  say?.(`Redis: stopping the server that an earlier Drover left (pid ${leftover.pid})`)
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (await endedBy(leftover, signal)) return
  }
  throw new DroverError(
    'setup_failed',
    `A Redis server of an earlier run (pid ${leftover.pid}) still uses ${dir} and cannot be ended. End it by hand.`,
  )
}

const END_WAIT_MS = 5000
const END_POLL_MS = 20

async function endedBy(server: ProcessIdentity, signal: NodeJS.Signals): Promise<boolean> {
  try {
    process.kill(server.pid, signal)
  } catch {
    // Gone in the meantime, or not ours to end: the look below tells.
  }
  const deadline = performance.now() + END_WAIT_MS
  while (performance.now() < deadline) {
    if (!(await isRunning(server))) return true
    await sleep(END_POLL_MS)
  }
  return false
}

/** Complete or not there: a half record would hide a leftover. */
async function writeRecord(dir: string, pid: number, port: number): Promise<void> {
  const identity = await identityOf(pid)
  const half = `${recordFile(dir)}.${process.pid}`
  await writeFile(half, JSON.stringify({ ...identity, port }))
  await rename(half, recordFile(dir))
}

async function readRecord(dir: string): Promise<z.output<typeof recordSchema> | null> {
  try {
    return recordSchema.parse(JSON.parse(await readFile(recordFile(dir), 'utf8')))
  } catch {
    return null
  }
}

function recordFile(dir: string): string {
  return join(dir, 'redis.json')
}

/**
 * One `redis-server` process on a free loopback port: started, proven to be ours, stopped for certain.
 *
 * The process is in a group of its own, so the terminal's Ctrl-C does not reach it before its users are done. On
 * Linux it asks the kernel for SIGKILL when its parent dies (`setpriv --pdeathsig`), so a killed Drover leaves no
 * server. That is safe for the data: with `appendfsync always` whatever was acknowledged is on the disk.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { sleep } from '../core/clock.ts'
import { DroverError } from '../core/errors.ts'

/** A server program, and what it needs to run. */
export interface RedisBinary {
  readonly file: string
  readonly version: string
  /** Added to the server's environment: where unpacked libraries are. */
  readonly env: Readonly<Record<string, string>>
}

export interface RedisProcess {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Resolves when the process is gone, whoever ended it. */
  readonly exited: Promise<void>
  /** SIGTERM (an orderly shutdown), after 5 s SIGKILL; resolves when the process is gone. Safe to call twice. */
  stop(): Promise<void>
}

export interface StartRedisProcess {
  readonly binary: RedisBinary
  /** Working directory of the server: its data and its log `redis.log`. Must exist. */
  readonly dir: string
  /** Settings beside bind, port and directory, as in redis.conf. */
  readonly settings: Readonly<Record<string, string>>
  /** A port to use instead of a free one; taken means failure then. */
  readonly port?: number
}

/** Another process may take the port between our look and the server's bind. */
const PORT_ATTEMPTS = 5
/** Covers the loading of a large AOF (a GB takes some 10 s) on a slow machine. */
const START_TIMEOUT_MS = 60_000
const TERM_GRACE_MS = 5000

/**
 * Resolves when the server answers PING and is the process started here, not another one on the same port.
 * @throws DroverError `setup_failed` with the end of the server's log.
 */
export async function startRedisProcess(options: StartRedisProcess): Promise<RedisProcess> {
  let failure = ''
  for (let attempt = 0; attempt < PORT_ATTEMPTS; attempt++) {
    const port = options.port ?? (await freePort())
    const started = await tryStart(options, port)
    if (typeof started !== 'string') return started
    failure = started
    if (options.port !== undefined || !/address already in use/i.test(failure)) break
  }
  throw new DroverError(
    'setup_failed',
    `The Redis server ${options.binary.file} did not start: ${failure} Its log is ${logFile(options.dir)}; or set REDIS_URL to a server that runs.`,
  )
}

/** The process, or why there is none. */
async function tryStart(options: StartRedisProcess, port: number): Promise<RedisProcess | string> {
  const log = await open(logFile(options.dir), 'a')
  const logStart = (await log.stat()).size
  const child = spawnServer(options, port, log.fd)
  let spawnError: Error | null = null
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', (error) => {
      spawnError = error
      resolve()
    })
  })
  await log.close()
  const answer = await whoAnswers(child, port, exited)
  if (answer === 'ours') return handleOf(child, port, exited)
  await endChild(child, exited)
  if (answer === 'another') return `port ${port} is in use: address already in use.`
  return spawnError === null ? lastLines(options.dir, logStart) : `${(spawnError as Error).message}.`
}

function spawnServer(options: StartRedisProcess, port: number, logFd: number): ChildProcess {
  const settings = {
    bind: '127.0.0.1',
    port: String(port),
    'protected-mode': 'yes',
    daemonize: 'no',
    dir: options.dir,
    ...options.settings,
  }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  const { file } = options.binary
  const setpriv = parentDeathTool()
  const [program, argv] =
    setpriv === null ? [file, args] : [setpriv, ['--pdeathsig', 'KILL', '--', file, ...args]]
  return spawn(program, argv, {
    cwd: options.dir,
    detached: true,
    env: { ...options.binary.env },
    stdio: ['ignore', logFd, logFd],
  })
}

/** util-linux has it on every Debian and Ubuntu; without it the next start finds a leftover by its record. */
function parentDeathTool(): string | null {
  if (process.platform !== 'linux') return null
  return ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path)) ?? null
}

/** `none`: the child died, or the time is over. `another`: somebody else's Redis has the port. */
async function whoAnswers(
  child: ChildProcess,
  port: number,
  exited: Promise<void>,
): Promise<'ours' | 'another' | 'none'> {
  // The client's ready check also waits for the end of LOADING.
  const client = new Redis({ host: '127.0.0.1', port, maxRetriesPerRequest: null, retryStrategy: () => 10 })
  client.on('error', () => undefined)
  const over = new AbortController()
  // An answer that comes too late ends in disconnect(), which rejects it.
  const info = client.info('server').catch(() => null)
  const text = await Promise.race([
    info,
    exited.then(() => null),
    sleep(START_TIMEOUT_MS, over.signal).then(() => null),
  ])
  over.abort()
  client.disconnect()
  if (text === null) return 'none'
  return Number(/^process_id:(\d+)/m.exec(text)?.[1]) === child.pid ? 'ours' : 'another'
}

function handleOf(child: ChildProcess, port: number, exited: Promise<void>): RedisProcess {
  let stopping: Promise<void> | null = null
  // The server must not keep a finished program alive; who needs it stopped calls stop().
  child.unref()
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    pid: child.pid ?? 0,
    exited,
    stop: () => (stopping ??= endChild(child, exited)),
  }
}

async function endChild(child: ChildProcess, exited: Promise<void>): Promise<void> {
  if (child.pid === undefined) return
  child.ref()
  child.kill('SIGTERM')
  const over = new AbortController()
  const gone = await Promise.race([
    exited.then(() => true),
    sleep(TERM_GRACE_MS, over.signal).then(() => false),
  ])
  over.abort()
  if (gone) return
  child.kill('SIGKILL')
  await exited
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
  return address.port
}

function logFile(dir: string): string {
  return join(dir, 'redis.log')
}

async function lastLines(dir: string, from: number): Promise<string> {
  const text = (await readFile(logFile(dir))).subarray(from).toString()
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return lines.length === 0
    ? 'it ended without a word.'
    : `its last lines were: ${lines.slice(-5).join(' | ')}.`
}

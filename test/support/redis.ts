/** A real Redis server for a test file: on a free port, in a directory of its own, gone with the test process. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { findRedisServer } from '../../src/setup/redis-server.ts'
import { startRedisProcess } from '../../src/setup/redis-process.ts'

export interface TestRedis {
  readonly url: string
  readonly port: number
  /** For faults: SIGKILL, SIGSTOP. */
  readonly pid: number
  /** The server's directory, removed by `stop()` unless it was given. */
  readonly dir: string
  /** Ends the server and removes its directory. Safe to call twice, also after the server was killed. */
  stop(): Promise<void>
}

export interface TestRedisOptions {
  /** `always`: every acknowledged write is on the disk, as in production. Without it nothing is kept. */
  readonly aof?: 'always'
  /** Start again on the port of a server that was killed. */
  readonly port?: number
  /** Start again with the data of a server that was killed (with `aof`); stays when the server stops. */
  readonly dir?: string
}

const TOOLS_DIR = resolve(import.meta.dirname, '../../data/tools')

/** Starts a server with `noeviction` and resolves when it answers PING. */
export async function startRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'drover-redis-')))
  const binary = await findRedisServer({
    toolsDir: TOOLS_DIR,
    searchPath: process.env['PATH'] ?? '',
    say: () => undefined,
  })
  const server = await startRedisProcess({
    binary,
    dir,
    settings: {
      save: '',
      appendonly: options.aof === 'always' ? 'yes' : 'no',
      appendfsync: 'always',
      'maxmemory-policy': 'noeviction',
    },
    ...(options.port === undefined ? {} : { port: options.port }),
  })
  return {
    url: server.url,
    port: server.port,
    pid: server.pid,
    dir,
    async stop() {
      await server.stop()
      if (options.dir === undefined) await rm(dir, { recursive: true, force: true })
    },
  }
}

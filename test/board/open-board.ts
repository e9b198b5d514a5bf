/** A real board over a real Redis, in a namespace and a data directory of its own. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { createBoard, type Board } from '../../src/board/server.ts'
import type { AgentSpec } from '../../src/config/agent-spec.ts'
import { loadConfig } from '../../src/config/load.ts'
import { agentSpecsSchema, toAgentSpec } from '../../src/config/spec-schema.ts'
import { newId } from '../../src/core/ids.ts'
import type { TakesOut } from '../../src/core/redacted.ts'
import { keysOf, type Keys } from '../../src/queue/keys.ts'
import { createSessionStore, type SessionStore } from '../../src/queue/session-store.ts'
import { seedRedis } from '../support/seed.ts'
import { createLogger } from '../../src/telemetry/logger.ts'

export interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly body: any
}

export interface TestBoard {
  readonly board: Board
  readonly url: string
  readonly dataDir: string
  readonly namespace: string
  readonly keys: Keys
  /** Apart from the board's own: what a worker would use. */
  readonly redis: Redis
  readonly store: SessionStore
  /** What the board logged so far. */
  readonly log: readonly Readonly<Record<string, unknown>>[]
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Answered>
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Answered>
  /** `POST /sessions` for an architect; answers its id. */
  spawn(more?: Readonly<Record<string, unknown>>): Promise<string>
  stop(): Promise<void>
}

export interface TestBoardOptions {
  readonly namespace?: string
  readonly dataDir?: string
  readonly port?: number
  readonly types?: readonly string[]
  /** Of each type. */
  readonly templates?: Readonly<Record<string, string>>
  readonly heartbeatMs?: number
  readonly requestTimeoutMs?: number
  readonly leaseTtlMs?: number
  /** False: the board finds a Redis that nobody has confirmed. @default true */
  readonly seeded?: boolean
  /** As the configuration has them. */
  readonly tokens?: readonly string[]
  readonly allowedHosts?: readonly string[]
  readonly host?: string
  /** As the process knows secrets. @default what looks like one */
  readonly redactor?: TakesOut
}

/** A board that finds a new Redis gives leases after this. */
const LEASE_TTL_MS = 300

export const WORKSPACE = '/srv/shop'

export async function openBoard(redisUrl: string, options: TestBoardOptions = {}): Promise<TestBoard> {
  const namespace = options.namespace ?? `t-${newId().slice(0, 8)}`
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'drover-board-')))
  const log: Record<string, unknown>[] = []
  const redis = new Redis(redisUrl)
  // A test that stops the server sees its effects elsewhere.
  redis.on('error', () => {})
  const keys = keysOf(namespace)
  if (options.seeded !== false) await seedRedis(redis, keys)
  const board = await createBoard({
    config: {
      ...loadConfig({ cwd: dataDir, env: {} }).config,
      namespace,
      dataDir,
      board: {
        host: options.host ?? '127.0.0.1',
        port: options.port ?? 0,
        tokens: options.tokens ?? [],
        allowedHosts: options.allowedHosts ?? [],
      },
      workspace: { roots: [WORKSPACE] },
      lease: { ttlMs: options.leaseTtlMs ?? LEASE_TTL_MS, renewMs: 50, marginMs: 50 },
    },
    specs: specsOf(options.types ?? ['architect', 'code_developer'], options.templates),
    redisUrl,
    log: createLogger({
      level: 'info',
      name: 'board',
      destination: { write: (line) => void log.push(JSON.parse(line)) },
    }),
    ...(options.redactor === undefined ? {} : { redactor: options.redactor }),
    ...(options.heartbeatMs === undefined ? {} : { heartbeatMs: options.heartbeatMs }),
    ...(options.requestTimeoutMs === undefined ? {} : { requestTimeoutMs: options.requestTimeoutMs }),
  })

  const ask = async (path: string, init: RequestInit): Promise<Answered> => {
    const response = await fetch(`${board.url}${path}`, init)
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('application/json') === true
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text }
  }
  const post: TestBoard['post'] = (path, body, headers = {}) =>
    ask(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })

  return {
    board,
    url: board.url,
    dataDir,
    namespace,
    keys,
    redis,
    store: createSessionStore(redis, keys),
    log,
    get: (path, headers = {}) => ask(path, { headers }),
    post,
    async spawn(more = {}) {
      const { status, body } = await post('/api/v1/sessions', {
        agent_type: 'architect',
        prompt: 'Design it',
        ...more,
      })
      if (status >= 300) throw new Error(JSON.stringify(body))
      return body.session_id as string
    },
    async stop() {
      await board.stop()
      redis.disconnect()
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true })
    },
  }
}

export function specsOf(
  names: readonly string[],
  templates: Readonly<Record<string, string>> = {},
): ReadonlyMap<string, AgentSpec> {
  const written = { description: 'For tests', model: 'opus', timeout: 60, templates }
  const { agent_types } = agentSpecsSchema.parse({
    agent_types: Object.fromEntries(names.map((name) => [name, written])),
  })
  return new Map(Object.entries(agent_types).map(([name, spec]) => [name, toAgentSpec(name, spec, '/specs')]))
}

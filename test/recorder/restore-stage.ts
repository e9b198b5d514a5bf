/** A Redis that may lose everything, a ledger that does not, a recorder between them, and sessions that use both. */
import { Redis } from 'ioredis'
import { systemClock } from '../../src/core/clock.ts'
import { newSessionId } from '../../src/core/ids.ts'
import { vouch, type Vouched } from '../../src/queue/incarnation.ts'
import { keysOf, type Keys } from '../../src/queue/keys.ts'
import { createLeases, type Leases } from '../../src/queue/lease.ts'
import { createSessionStore, type AgentRef, type SessionStore } from '../../src/queue/session-store.ts'
import { createRecorder, type Recorder } from '../../src/recorder/recorder.ts'
import { createTempLedger, type TempLedger } from '../ledger/temp-ledger.ts'
import { acceptance } from '../support/namespace.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

/** Short, and long enough that a slow machine sees a quarantine before it ends. */
export const TTL_MS = 1500
const MARGIN_MS = 300
/** How long a holder trusts its lease, from the start of its attempt. */
export const TRUST_MS = TTL_MS - MARGIN_MS
export const PREFIX = 'architect-20260101-'

export interface RestoreStage {
  readonly server: TestRedis
  readonly redis: Redis
  readonly keys: Keys
  readonly temp: TempLedger
  readonly store: SessionStore
  readonly leases: Leases
  /** What the recorder logged. */
  readonly logged: readonly string[]
  /** How often it said that Redis has back what it lost. */
  restored(): number
  startRecorder(): Recorder
  /** The stream is recorded to its end. */
  settled(): Promise<void>
  seeded(): Promise<boolean>
  accept(sessionId?: string): Promise<string>
  /** An agent with a lease of its own that it gives back, as a pod starts it. */
  startAgent(sessionId: string): Promise<AgentRef>
  say(agent: AgentRef, first: number, count: number): Promise<void>
  /** Kills the server and starts another one on its port; with its data where it has an AOF. */
  restart(): Promise<void>
  /** Restarts it with its data, of which its starter says something before anybody else can ask. */
  restartVouched(vouched: Vouched): Promise<void>
  killServer(): Promise<void>
  /** Ends the recorder that was started first. */
  stopFirst(): Promise<void>
  close(): Promise<void>
}

export async function openRestoreStage(options: { readonly aof?: 'always' } = {}): Promise<RestoreStage> {
  const aof = options.aof === undefined ? {} : { aof: options.aof }
  const servers = [await startRedis(aof)]
  const redis = new Redis(servers[0]?.url ?? '', {
    maxRetriesPerRequest: null,
    retryStrategy: () => 50,
  })
  redis.on('error', () => {})
  const keys = keysOf('restored')
  const temp = createTempLedger()
  const store = createSessionStore(redis, keys)
  const times = { ttlMs: TTL_MS, renewMs: TTL_MS / 4, marginMs: MARGIN_MS }
  const leases = createLeases(redis, keys, times, 'pod', systemClock)
  const recorders: Recorder[] = []
  const logged: string[] = []
  const log = (details: unknown, message?: string): void => void logged.push(message ?? String(details))
  let restored = 0

  const stage: RestoreStage = {
    get server() {
      return servers.at(-1) as TestRedis
    },
    redis,
    keys,
    temp,
    store,
    leases,
    logged,
    restored: () => restored,
    startRecorder() {
      const recorder = createRecorder({
        redis,
        keys,
        ledger: temp.ledger,
        log: { warn: log, error: log, info: log },
        leaseTtlMs: TTL_MS,
        onRestored: () => (restored += 1),
      })
      recorders.push(recorder)
      recorder.start()
      return recorder
    },
    async settled() {
      await until(async () => {
        const [newest] = await redis.xrevrange(keys.events, '+', '-', 'COUNT', 1)
        return newest === undefined || recorders.at(-1)?.position === newest[0]
      })
    },
    seeded: async () =>
      (await redis.get(keys.seeded)) === /run_id:(\w+)/.exec(await redis.info('server'))?.[1],
    async accept(sessionId = newSessionId()) {
      const session = acceptance(sessionId)
      const { timeoutSeconds } = session
      await store.accept({
        ...session,
        accepted: { ...session.accepted, timeout_seconds: timeoutSeconds },
      })
      return sessionId
    },
    async startAgent(sessionId) {
      const lease = await leases.acquire('architect', 1, new AbortController().signal)
      if (lease === null) throw new Error('no lease')
      const session = { sessionId, agentType: 'architect' }
      const spawned = { pod_id: 'pod', command: [], cwd: '/tmp', model: 'opus', retry_count: 0 }
      const started = await store.start(session, {
        leaseKey: lease.key,
        token: lease.token,
        agentIdPrefix: PREFIX,
        set: { pod_id: 'pod', workspace_id: 'w-1', pid: '' },
        events: [
          {
            type: 'drover.agent.spawned',
            payload: { ...spawned, resumed: false, prompt: 'Design it', workspace_id: 'w-1' },
          },
        ],
      })
      await lease.release()
      if (!started.ok) throw new Error(started.refused)
      return { ...session, agentId: started.agentId, epoch: started.epoch }
    },
    async say(agent, first, count) {
      const lines = Array.from({ length: count }, (_, n) => ({
        type: 'claude.assistant',
        payloadText: `{"n":${first + n}}`,
      }))
      const taken = await store.lines(agent, { first, lines })
      if (!taken.ok) throw new Error(taken.refused)
    },
    async killServer() {
      process.kill(stage.server.pid, 'SIGKILL')
      await until(() => redis.status !== 'ready')
    },
    stopFirst: async () => await recorders[0]?.stop(),
    async restartVouched(vouched) {
      await recorders.pop()?.stop()
      await stage.restart()
      await vouch(redis, keys, vouched)
      stage.startRecorder()
    },
    async restart() {
      const { port, dir } = stage.server
      await stage.killServer()
      const kept = options.aof === undefined ? {} : { dir }
      servers.push(await startRedis({ ...aof, ...kept, port }))
      await until(() => redis.status === 'ready')
    },
    async close() {
      await Promise.all(recorders.map((recorder) => recorder.stop()))
      redis.disconnect()
      for (const server of servers.toReversed()) await server.stop()
      temp.remove()
    },
  }
  return stage
}

/**
 * From an agent's spool to the ledger: lines of 300 bytes through the worker's tail, the session script, the event
 * stream (AOF `always`) and the recorder into SQLite, from the first line written until the last is committed.
 * Against the same rows inserted into the same table by better-sqlite3 alone, in transactions of the recorder's size.
 *
 * Worker side and recorder share this process, so its CPU and Redis' together are all that it takes. A rate is
 * counted as one core would give it: by the time that passed, or by the CPU's where that is more.
 */
import { appendFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../src/core/clock.ts'
import { composeEvent, type EventHeader } from '../src/core/envelope.ts'
import { newSessionId } from '../src/core/ids.ts'
import { openLedger } from '../src/ledger/open.ts'
import { keysOf, type Keys } from '../src/queue/keys.ts'
import { vouch } from '../src/queue/incarnation.ts'
import { createLeases, type Lease } from '../src/queue/lease.ts'
import { createSessionStore, type AgentRef } from '../src/queue/session-store.ts'
import { createRecorder } from '../src/recorder/recorder.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { createAgentStream } from '../src/worker/agent-stream.ts'
import { prepareBareInserts, type Cost } from './bare-inserts.ts'
import { ownCpuMs, redisCpuMs } from './cpu.ts'
import { median, summarize, type Result } from './report.ts'
import { measurePairs, type Stage } from './stage.ts'

const LINES = 5000
const QUICK_LINES = 1000
const LINE_BYTES = 300
/** The lease outlives the run, since nobody renews it here. */
const LEASE = { ttlMs: 3_600_000, renewMs: 7500, marginMs: 5000 }
const COMMIT_TIMEOUT_MS = 60_000

export async function benchRecording(stage: Stage): Promise<readonly Result[]> {
  const lines = stage.quick ? QUICK_LINES : LINES
  const ours = await prepareOurs(stage, lines)
  const insert = prepareBareInserts(stage)
  const bare = async (): Promise<Cost> => insert(eventsOf(lines))
  await ours()
  await bare()
  const measured = await measurePairs(stage.pairs, ours, bare)
  const rate = ({ wallMs, cpuMs }: Cost): number => (lines * 1000) / Math.max(wallMs, cpuMs)
  const micros = (side: 'ours' | 'bare', time: keyof Cost): number =>
    (median(measured.map((pair) => pair[side][time])) * 1000) / lines
  return [
    {
      bench: 'recording',
      title: `spool to committed ledger, lines of ${LINE_BYTES} bytes, with one core for all`,
      unit: 'events/s',
      measured: summarize(measured.map((pair) => rate(pair.ours))),
      goal: { op: '>=', value: 2000 },
      details: [
        { label: 'time', value: micros('ours', 'wallMs'), unit: 'µs each' },
        { label: 'CPU of worker, recorder and Redis', value: micros('ours', 'cpuMs'), unit: 'µs each' },
      ],
    },
    {
      bench: 'recording',
      title: 'the same against the same rows inserted by better-sqlite3 alone',
      unit: '×',
      measured: summarize(measured.map((pair) => rate(pair.ours) / rate(pair.bare))),
      goal: null,
      details: [
        { label: 'better-sqlite3', value: median(measured.map((pair) => rate(pair.bare))), unit: 'rows/s' },
      ],
    },
  ]
}

async function prepareOurs(stage: Stage, count: number): Promise<() => Promise<Cost>> {
  const { redis } = stage
  const keys = keysOf('bench-recording')
  const store = createSessionStore(redis, keys)
  // The bench's own server, which nobody has used: the recorder gives leases at once.
  await vouch(redis, keys, 'new')
  const ledger = openLedger(join(stage.dir, 'orchestrator.db'))
  stage.defer(() => ledger.close())
  const recorder = createRecorder({
    redis,
    keys,
    ledger,
    log: createLogger({ level: 'error', name: 'bench' }),
    leaseTtlMs: LEASE.ttlMs,
  })
  recorder.start()
  stage.defer(() => recorder.stop())
  const lease = await takeLease(stage, keys)

  async function startAgent(): Promise<AgentRef> {
    const session = { sessionId: newSessionId(), agentType: 'bench' }
    const accepted = { digest: '', idempotency_key: null, created_by: null, restart_of: null, actor: ACTOR }
    await store.accept({
      sessionId: session.sessionId,
      request: { agent_type: 'bench', prompt: 'Talk.', workspace_dir: stage.dir },
      digest: '',
      createdAt: new Date().toISOString(),
      createdBy: null,
      priority: 1000,
      timeoutSeconds: 3600,
      accepted,
      events: [],
    })
    const started = await store.start(session, {
      leaseKey: lease.key,
      token: lease.token,
      agentIdPrefix: 'bench-20260101-',
      set: {},
      events: [],
    })
    if (!started.ok) throw new Error(`no agent could be started: ${started.refused}`)
    return { ...session, agentId: started.agentId, epoch: started.epoch }
  }

  async function commitOf(agent: AgentRef): Promise<void> {
    const lastId = (await store.read(agent.sessionId))?.lastId ?? ''
    if (!(await recorder.waitFor(lastId, COMMIT_TIMEOUT_MS)))
      throw new Error('the recorder does not get there')
  }

  return async () => {
    const agent = await startAgent()
    await commitOf(agent)
    const dir = join(stage.dir, agent.agentId)
    await mkdir(dir)
    const spool = join(dir, 'stdout.ndjson')
    const text = Array.from({ length: count }, (_, index) => `${lineOf(index)}\n`).join('')

    const cpuBefore = ownCpuMs() + (await redisCpuMs(redis))
    const start = performance.now()
    let failure: unknown = null
    const stream = createAgentStream({
      store,
      agent,
      spool,
      onFacts: () => undefined,
      onFailure: (error) => (failure = error),
    })
    await appendFile(spool, text)
    await stream.finish()
    if (failure !== null) throw failure
    await commitOf(agent)
    const wallMs = performance.now() - start
    const cpuMs = ownCpuMs() + (await redisCpuMs(redis)) - cpuBefore

    const recorded = ledger.tables.spools.read(agent.agentId, Number(agent.epoch))?.lines ?? 0
    if (recorded !== count) throw new Error(`${recorded} of ${count} lines are in the ledger`)
    return { wallMs, cpuMs }
  }
}

async function takeLease({ redis }: Stage, keys: Keys): Promise<Lease> {
  const leases = createLeases(redis, keys, LEASE, 'bench', systemClock)
  const lease = await leases.acquire('bench', 1, new AbortController().signal)
  if (lease === null) throw new Error('the lease was not given')
  return lease
}

const ACTOR = { via: 'typescript', name: null } as const

/** As the CLI prints them, of exactly `LINE_BYTES` bytes. */
function lineOf(index: number): string {
  const line = (text: string): string =>
    JSON.stringify({
      type: 'assistant',
      message: { id: `msg_${index}`, role: 'assistant', content: [{ type: 'text', text }] },
      session_id: '00000000-0000-4000-8000-000000000000',
    })
  return line('x'.repeat(LINE_BYTES - line('').length))
}

/** As the session script puts them onto the stream. */
function eventsOf(count: number): readonly string[] {
  const sessionId = newSessionId()
  const agentId = `bench-${sessionId}`
  const ts = new Date().toISOString()
  return Array.from({ length: count }, (_, index) => {
    const line = index + 1
    const header: EventHeader = {
      session_id: sessionId,
      agent_id: agentId,
      agent_type: 'bench',
      epoch: 1,
      seq: line,
      line,
      ts,
      type: 'claude.assistant',
    }
    return composeEvent(header, lineOf(index))
  })
}

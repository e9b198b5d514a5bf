/**
 * A backlog: 1,000,000 events that nobody recorded, and the recorder that comes back. Lines of 300 bytes, a result among
 * 50, of a hundred sessions side by side, read from Redis in another process and committed to a ledger on the disk.
 */
import { join } from 'node:path'
import { composeEvent, type EventHeader } from '../src/core/envelope.ts'
import { openLedger } from '../src/ledger/open.ts'
import { keysOf, type Keys } from '../src/queue/keys.ts'
import { runIdOf } from '../src/queue/run-id.ts'
import { createRecorder, type CommitSummary } from '../src/recorder/recorder.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { resultLine, scriptedSession } from '../test/recorder/scripted-session.ts'
import { summarize, type Result } from './report.ts'
import type { Stage } from './stage.ts'

const EVENTS = 1_000_000
const QUICK_EVENTS = 20_000
const SESSIONS = 100
const RESULT_EVERY = 50
const LINE_BYTES = 300
/** A value of the rate for every tenth of the backlog. */
const PARTS = 10
const TIMEOUT_MS = 600_000
const PIPELINE = 2000

export async function benchCatchUp(stage: Stage): Promise<readonly Result[]> {
  const total = stage.quick ? QUICK_EVENTS : EVENTS
  const keys = keysOf('bench-catch-up')
  // A Redis that never lost anything: nothing is to be written back.
  await stage.redis.set(keys.seeded, await runIdOf(stage.redis))
  const lastId = await leaveBacklog(stage, keys, total)

  const ledger = openLedger(join(stage.dir, 'catch-up.db'))
  stage.defer(() => ledger.close())
  const marks: number[] = []
  let done = 0
  const recorder = createRecorder({
    redis: stage.redis,
    keys,
    ledger,
    log: createLogger({ level: 'error', name: 'bench' }),
    leaseTtlMs: 1000,
    onCommit({ entries }: CommitSummary) {
      done += entries
      while (done >= ((marks.length + 1) * total) / PARTS) marks.push(performance.now())
    },
  })
  const began = performance.now()
  recorder.start()
  stage.defer(() => recorder.stop())
  if (!(await recorder.waitFor(lastId, TIMEOUT_MS))) throw new Error('the recorder does not get there')
  const tookMs = performance.now() - began

  const recorded = SESSION_IDS.reduce((sum, id) => sum + ledger.events.lastSeq(id), 0)
  if (recorded !== total) throw new Error(`${recorded} of ${total} events are in the ledger`)
  if (ledger.tables.faults.count() > 0) throw new Error('some events could not be recorded')
  const rates = marks.map((at, index) => ((total / PARTS) * 1000) / (at - (marks[index - 1] ?? began)))
  return [
    {
      bench: 'catch-up',
      title: `a backlog of ${total} events, from the recorder's start to the last commit`,
      unit: 'events/s',
      // The promise is about all of it: the median of its tenths would hide the slow ones.
      measured: summarize([(total * 1000) / tookMs]),
      goal: { op: '>=', value: 20_000 },
      details: [
        { label: 'the median tenth', value: summarize(rates).median, unit: 'events/s' },
        { label: 'the slowest', value: summarize(rates).min, unit: 'events/s' },
        { label: 'in', value: tookMs / 1000, unit: 's' },
      ],
    },
  ]
}

const SESSION_IDS = Array.from({ length: SESSIONS }, (_, index) => `backlog-${index}`)

/** Puts exactly `total` events onto the stream, round robin; answers the id of the last one. */
async function leaveBacklog({ redis }: Stage, keys: Keys, total: number): Promise<string> {
  const sessions = SESSION_IDS.map((id, index) => {
    const agent = { agentId: `bench-20261120-${index + 1}`, epoch: index + 1 }
    const first = scriptedSession(id, 'bench').accepted().spawned(agent).started(agent).events
    return { id, agent, first, seq: 0, line: 0 }
  })
  let lastId = ''
  for (let at = 0; at < total;) {
    const pipeline = redis.pipeline()
    for (const end = Math.min(at + PIPELINE, total); at < end; at++) {
      const session = sessions[at % SESSIONS]
      if (session === undefined) throw new Error('no session')
      const first = session.first[session.seq++]
      pipeline.xadd(keys.events, '*', 'event', first ?? lineOf(session))
    }
    lastId = String((await pipeline.exec())?.at(-1)?.[1])
  }
  return lastId
}

const RESULT = JSON.stringify(resultLine({ input: 10, output: 5, usd: 0.00001 }))
const SAID = lineOfBytes(LINE_BYTES)

function lineOf(session: {
  readonly id: string
  readonly agent: { readonly agentId: string; readonly epoch: number }
  readonly seq: number
  line: number
}): string {
  const line = ++session.line
  const isResult = line % RESULT_EVERY === 0
  const header: EventHeader = {
    session_id: session.id,
    agent_id: session.agent.agentId,
    agent_type: 'bench',
    epoch: session.agent.epoch,
    seq: session.seq,
    line,
    ts: '2026-11-20T10:00:00.000Z',
    type: isResult ? 'claude.result.success' : 'claude.assistant',
  }
  return composeEvent(header, isResult ? RESULT : SAID)
}

function lineOfBytes(bytes: number): string {
  const line = (text: string): string =>
    JSON.stringify({ type: 'assistant', message: { role: 'assistant', content: [{ type: 'text', text }] } })
  return line('words that were said '.repeat(bytes).slice(0, bytes - line('').length))
}

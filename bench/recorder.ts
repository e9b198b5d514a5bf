/**
 * The recorder's own work against bare inserts: its transaction, from the texts as they were read from the stream to
 * the commit (taken apart, inserted, counted and digested, projected, with the position), and the same rows inserted
 * by better-sqlite3 alone. Lines of 300 bytes of eight agents side by side, a result among fifty. Reading the stream is
 * in `catch-up`, and the whole way of a line in `recording`.
 */
import { join } from 'node:path'
import { composeEvent } from '../src/core/envelope.ts'
import { newSessionId } from '../src/core/ids.ts'
import { openLedger } from '../src/ledger/open.ts'
import type { StreamEntry } from '../src/recorder/event-stream.ts'
import { recordBatch } from '../src/recorder/record-batch.ts'
import { resultLine, scriptedSession } from '../test/recorder/scripted-session.ts'
import { prepareBareInserts, TRANSACTION_ROWS, type Cost } from './bare-inserts.ts'
import { ownCpuMs } from './cpu.ts'
import { median, summarize, type Result } from './report.ts'
import { measurePairs, type Stage } from './stage.ts'

const AGENTS = 8
const LINES = 20_000
const QUICK_LINES = 2000
const RESULT_EVERY = 50
const LINE_BYTES = 300

export async function benchRecorder(stage: Stage): Promise<readonly Result[]> {
  const count = stage.quick ? QUICK_LINES : LINES
  const write = prepareOurs(stage)
  const insert = prepareBareInserts(stage)
  const ours = async (): Promise<Cost> => write(writtenBy(count))
  const bare = async (): Promise<Cost> => insert(writtenBy(count).lines)
  await ours()
  await bare()
  const measured = await measurePairs(stage.pairs, ours, bare)
  const micros = (side: 'ours' | 'bare', time: keyof Cost): number =>
    (median(measured.map((pair) => pair[side][time])) * 1000) / count
  return [
    {
      bench: 'recorder',
      title: `the recorder's transactions against bare inserts, lines of ${LINE_BYTES} bytes`,
      unit: '×',
      measured: summarize(measured.map(({ ours, bare }) => bare.wallMs / ours.wallMs)),
      goal: { op: '>=', value: 0.5 },
      details: [
        { label: 'recorder', value: micros('ours', 'wallMs'), unit: 'µs each' },
        { label: 'of CPU', value: micros('ours', 'cpuMs'), unit: 'µs' },
        { label: 'bare', value: micros('bare', 'wallMs'), unit: 'µs each' },
        { label: 'of CPU', value: micros('bare', 'cpuMs'), unit: 'µs' },
      ],
    },
  ]
}

interface Written {
  /** What is recorded before the clock starts: the sessions begin. */
  readonly opening: readonly string[]
  readonly lines: readonly string[]
}

/** New sessions, and lines of them as they are on the stream. */
function writtenBy(count: number): Written {
  const agents = Array.from({ length: AGENTS }, (_, index) => {
    const id = newSessionId()
    const agent = { agentId: `bench-${id}`, epoch: index + 1 }
    const opening = scriptedSession(id, 'bench').accepted().spawned(agent).started(agent).events
    return { id, agent, opening }
  })
  const lines = Array.from({ length: count }, (_, index) => {
    const { id, agent, opening } = agents[index % AGENTS] ?? raise()
    const line = Math.floor(index / AGENTS) + 1
    const isResult = line % RESULT_EVERY === 0
    return composeEvent(
      {
        session_id: id,
        agent_id: agent.agentId,
        agent_type: 'bench',
        epoch: agent.epoch,
        seq: opening.length + line,
        line,
        ts: '2026-11-20T10:00:00.000Z',
        type: isResult ? 'claude.result.success' : 'claude.assistant',
      },
      isResult ? RESULT : SAID,
    )
  })
  return { opening: agents.flatMap(({ opening }) => opening), lines }
}

function prepareOurs(stage: Stage): (written: Written) => Cost {
  const ledger = openLedger(join(stage.dir, 'orchestrator.db'))
  stage.defer(() => ledger.close())
  const ts = new Date().toISOString()
  const { epoch } = ledger.transaction(() => ledger.tables.position.claim('bench', ts))
  let entries = 0
  const entryOf = (text: string): StreamEntry => ({ id: `${++entries}-0`, text, raw: text })
  const record = (batch: readonly StreamEntry[]): void => {
    const { faults } = recordBatch(ledger, epoch, batch, ts)
    if (faults.length > 0) throw new Error(`the ledger refused: ${faults[0]}`)
  }

  return ({ opening, lines }) => {
    record(opening.map(entryOf))
    const read = lines.map(entryOf)
    const cpuBefore = ownCpuMs()
    const start = performance.now()
    for (let at = 0; at < read.length; at += TRANSACTION_ROWS) record(read.slice(at, at + TRANSACTION_ROWS))
    return { wallMs: performance.now() - start, cpuMs: ownCpuMs() - cpuBefore }
  }
}

const RESULT = JSON.stringify(resultLine({ input: 10, output: 5, usd: 0.00001 }))
const SAID = lineOfBytes(LINE_BYTES)

function lineOfBytes(bytes: number): string {
  const line = (text: string): string =>
    JSON.stringify({ type: 'assistant', message: { role: 'assistant', content: [{ type: 'text', text }] } })
  return line('words that were said '.repeat(bytes).slice(0, bytes - line('').length))
}

function raise(): never {
  throw new Error('no agent')
}

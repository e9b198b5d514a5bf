/** A large ledger, made in minutes: what sessions are through the recorder's own projections, what was said by SQL. */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { openLedger } from '../src/ledger/open.ts'
import { recordBatch } from '../src/recorder/record-batch.ts'
import { at, pendingTask, scriptedSession } from '../test/recorder/scripted-session.ts'

export interface LedgerSize {
  readonly sessions: number
  /** Of all sessions together. */
  readonly messages: number
}

export const sessionIdOf = (index: number): string =>
  `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`
export const taskIdOf = (index: number): string => `TASK-${index}`
export const agentIdOf = (index: number): string => `bench-20261120-${String(index).padStart(6, '0')}`

const TYPES = ['architect', 'code_developer', 'code_reviewer', 'project_manager', 'doc-keeper-haiku']
/** Of the first session: at 10:00, half a year before the time that `at` counts from. */
export const FIRST_DAY = Date.UTC(2026, 4, 24)
const HALF_YEAR = 180 * 24 * 3600
/** One begins every five minutes. In seconds, for `at`. */
const beginOf = (index: number): number => index * 5 * 60 - HALF_YEAR
const FILE = 'orchestrator.db'
/** Sessions of one batch of the recorder. */
const BATCH_SESSIONS = 100
const BATCH_ROWS = 50_000
const STEP_EVENTS = 50_000

/**
 * Makes a ledger of the stream `streamKey` in the directory, unless it has one; answers its file. Until it is whole it
 * is beside the directory, so that one whose making was interrupted is made again.
 */
export function makeLedger(dir: string, streamKey: string, size: LedgerSize): string {
  const path = join(dir, FILE)
  if (existsSync(path)) return path
  const half = `${dir}.half`
  rmSync(half, { recursive: true, force: true })
  mkdirSync(half, { recursive: true })
  const making = join(half, FILE)
  recordSessions(making, streamKey, size.sessions)
  insertMessages(making, size)
  index(making)
  renameSync(half, dir)
  return path
}

/** As the board does it behind its recorder, in larger steps. */
function index(path: string): void {
  const ledger = openLedger(path)
  try {
    while (ledger.search.fill(STEP_EVENTS) > 0);
  } finally {
    ledger.close()
  }
}

/**
 * Half a year of sessions, all over: what ended within a day is written back to an empty Redis, and would be read while
 * pages are. Five types, every third with a task, trees of ten by `created_by`.
 */
function recordSessions(path: string, streamKey: string, sessions: number): void {
  const ledger = openLedger(path)
  try {
    const { epoch } = ledger.transaction(() => ledger.tables.position.claim(streamKey, at(0)))
    let entry = 0
    for (let from = 0; from < sessions; from += BATCH_SESSIONS) {
      const texts: string[] = []
      for (let index = from; index < Math.min(from + BATCH_SESSIONS, sessions); index++)
        texts.push(...eventsOf(index))
      const entries = texts.map((text) => ({ id: `${++entry}-0`, text, raw: text }))
      const { faults } = recordBatch(ledger, epoch, entries, at(0))
      if (faults.length > 0) throw new Error(`the ledger refused: ${faults[0]}`)
    }
  } finally {
    ledger.close()
  }
}

function eventsOf(index: number): readonly string[] {
  const type = TYPES[index % TYPES.length] ?? ''
  const agent = { agentId: agentIdOf(index), epoch: index + 1 }
  const task = index % 3 === 0 ? taskIdOf(index) : null
  const parent = index % 10 === 0 ? null : sessionIdOf(index - (index % 10))
  const failed = index % 20 === 7
  const usd = (index % 1000) / 1e4
  const later = beginOf(index)
  const session = scriptedSession(sessionIdOf(index), type)
    .accepted(
      { prompt: `Task number ${index}: ${phrase(index)}`, ...(task === null ? {} : { task_id: task }) },
      { created_by: parent },
    )
    .own('drover.session.claimed', { pod_id: `pod-${index % 4}` })
    .spawned(agent)
    .started(agent, { started_at: at(later) })
    .result(agent, { input: 1000 + index, output: 500, cacheRead: 20_000, usd })
    .exited(agent, failed ? { status: 'failed', failure_reason: 'agent_error' } : {})
    .closed(agent)
    .ended({
      ...(failed ? { status: 'failed' as const, failure_reason: 'agent_error' as const } : {}),
      cost_micros: Math.round(usd * 1e6),
      usage: {
        input_tokens: 1000 + index,
        output_tokens: 500,
        cache_read_tokens: 20_000,
        cache_creation_tokens: 0,
      },
    })
  const own = session.events.map((text, place) =>
    text.replace(`"ts":"${at(place + 1)}"`, `"ts":"${at(later + place)}"`),
  )
  return task === null ? own : [pendingTask(task, [], { agent_type: type }), ...own]
}

/** Lines beside the result of each session, as the recorder writes them, without its checks. */
function insertMessages(path: string, { sessions, messages }: LedgerSize): void {
  const db = new Database(path)
  try {
    db.pragma('synchronous = OFF')
    db.pragma('cache_size = -500000')
    const insert = db.prepare(`INSERT INTO session_event
      (session_id, seq, agent_id, agent_type, epoch, line, ts, type, late, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?)`)
    const each = Math.floor(messages / sessions)
    const texts = Array.from({ length: 5000 }, (_, index) => messageOf(index))
    let written = 0
    db.prepare('BEGIN').run()
    for (let index = 0; index < sessions; index++) {
      const [sessionId, agentId, type] = [sessionIdOf(index), agentIdOf(index), TYPES[index % TYPES.length]]
      // After its own eight events and its one line, the result.
      for (let line = 2; line <= each + 1; line++) {
        const isUser = line % 3 === 0
        const text = texts[(index * 7919 + line * 31) % texts.length] ?? ''
        const kind = isUser ? 'claude.user' : 'claude.assistant'
        insert.run(sessionId, line + 7, agentId, type, index + 1, line, at(beginOf(index) + line), kind, text)
        if (++written % BATCH_ROWS !== 0) continue
        db.prepare('COMMIT').run()
        db.prepare('BEGIN').run()
      }
    }
    db.prepare('COMMIT').run()
    db.pragma('wal_checkpoint(TRUNCATE)')
  } finally {
    db.close()
  }
}

function messageOf(index: number): string {
  const content = [{ type: 'text', text: phrase(index) }]
  return JSON.stringify({ type: 'assistant', message: { id: `msg_${index}`, role: 'assistant', content } })
}

/**
 * Words as they are spread in texts: the common ones in nearly all, `rare<n>` in one of five thousand; `even` and `odd` in
 * every second one each, never in one together.
 */
function phrase(index: number): string {
  const words = [`rare${index % 5000}`, index % 2 === 0 ? 'even' : 'odd']
  for (let place = 0; place < 24; place++) {
    const draw = ((index + 1) * (place + 7) * 2_654_435_761) % 4_294_967_296
    // Squared twice: low numbers are many times as frequent.
    words.push(`word${Math.floor((draw / 4_294_967_296) ** 4 * 8000)}`)
  }
  return words.join(' ')
}

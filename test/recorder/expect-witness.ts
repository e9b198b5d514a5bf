/** What must be true of a ledger whatever happened to its recorder. */
import { expect } from 'vitest'
import { PROJECTION_TABLES } from '../../src/ledger/projections.ts'
import { createTempLedger, type TempLedger } from '../ledger/temp-ledger.ts'
import { recordTexts } from './scripted-session.ts'
import { witnessLine, type WitnessedSession } from './session-writer.ts'

/** The ledger has what the writers know: every event once and in order, every total, and nobody else's. */
export function expectTheWitness(temp: TempLedger, sessions: readonly WitnessedSession[]): void {
  expect(temp.rows('PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }])
  expect(temp.rows('PRAGMA foreign_key_check')).toEqual([])
  expect(temp.ledger.tables.faults.count()).toBe(0)
  let cost = 0
  for (const witnessed of sessions) {
    const { sessionId, events } = witnessed
    expect(eventsOf(temp, sessionId).map(witnessLine)).toEqual(events)
    expect(temp.rows('SELECT max(seq) AS seq FROM session_event WHERE session_id = ?', sessionId)).toEqual([
      { seq: events.length },
    ])
    expect(temp.ledger.sessions.get(sessionId)).toMatchObject({
      status: 'completed',
      incomplete: false,
      restarts: witnessed.restarts,
      input_tokens: witnessed.inputTokens,
      estimated_cost_usd: witnessed.costMicros / 1e6,
    })
    expect(temp.ledger.tasks.get(witnessed.taskId)?.status).toBe('completed')
    cost += witnessed.costMicros
  }
  expect(temp.rows('SELECT count(*) AS n, sum(estimated_cost_micros) AS cost FROM agent_sessions')).toEqual([
    { n: sessions.length, cost },
  ])
}

/** The projections are what the same events give in one go, without a death. */
export function expectWhatTheEventsSay(temp: TempLedger, sessions: readonly WitnessedSession[]): void {
  const fresh = createTempLedger()
  try {
    const texts = sessions.map((session) => session.taskText)
    const left = new Map(sessions.map(({ sessionId }) => [sessionId, eventsOf(temp, sessionId).values()]))
    for (const row of temp.rows('SELECT session_id FROM session_event ORDER BY event_id'))
      texts.push(left.get(String(row['session_id']))?.next().value ?? '')
    for (let at = 0; at < texts.length; at += 1000) recordTexts(fresh.ledger, texts.slice(at, at + 1000))
    for (const { name: table } of PROJECTION_TABLES) {
      const all = `SELECT * FROM ${table}`
      expect(sorted(temp.rows(all)), table).toEqual(sorted(fresh.rows(all)))
    }
  } finally {
    fresh.remove()
  }
}

/** Numbers of rows may differ where a repeat used one up. */
function sorted(rows: readonly Record<string, unknown>[]): string[] {
  const isNumber = (name: string): boolean => name === 'event_id' || name === 'id'
  return rows
    .map((row) => JSON.stringify(row, (name, value: unknown) => (isNumber(name) ? undefined : value)))
    .toSorted()
}

const eventsOf = (temp: TempLedger, sessionId: string): readonly string[] =>
  temp.ledger.events.page(sessionId, 0, 1000).events

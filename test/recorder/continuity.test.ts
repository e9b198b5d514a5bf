import Database from 'better-sqlite3'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLinesDigest } from '../../src/core/lines-digest.ts'
import { splitEvent } from '../../src/core/envelope.ts'
import { createTempLedger, type TempLedger } from '../ledger/temp-ledger.ts'
import { recordTexts, scriptedSession, type ScriptedSession } from './scripted-session.ts'

const ONE = { agentId: 'architect-20261120-001', epoch: 100 }
const TWO = { agentId: 'architect-20261120-002', epoch: 200 }

let temp: TempLedger
beforeEach(() => {
  temp = createTempLedger()
})
afterEach(() => temp.remove())

const record = (texts: readonly string[]) => recordTexts(temp.ledger, texts)
const incomplete = (id = 's1') => temp.ledger.sessions.get(id)?.incomplete
const gaps = (ledger = temp) =>
  ledger.rows(
    `SELECT agent_id, first, last, reason, filled_at IS NOT NULL AS filled FROM event_gap
     ORDER BY agent_id, first`,
  )
const ofSession = (first: number, last: number, filled = 0) => ({
  agent_id: null,
  first,
  last,
  reason: 'not_on_stream',
  filled,
})
const ofLines = (first: number, last: number, reason: string, filled = 0) => ({
  agent_id: ONE.agentId,
  first,
  last,
  reason,
  filled,
})

/** accepted, spawned, started, then so many lines. */
function talk(lines: number): ScriptedSession {
  const session = scriptedSession('s1').accepted().spawned(ONE).started(ONE)
  for (let line = 1; line <= lines; line++) session.line(ONE, 'claude.assistant', { text: `line ${line}` })
  return session
}

const digestOf = (events: readonly string[], agent = ONE): string => {
  const digest = createLinesDigest()
  for (const text of events) {
    const { header, payloadText } = splitEvent(text)
    if (header.agent_id === agent.agentId && header.line !== null) digest.add(header.line, payloadText)
  }
  return digest.hex()
}

describe('a jump of numbers', () => {
  it('is a gap of the session and of its agent, an alarm, and incomplete; recording goes on', () => {
    const { events } = talk(6)
    record(events.slice(0, 4))
    const { alarms, faults } = record(events.slice(7))
    expect(faults).toEqual([])
    expect(gaps()).toEqual([ofSession(5, 7), ofLines(2, 4, 'not_on_stream')])
    expect(incomplete()).toBe(true)
    expect(alarms).toHaveLength(2)
    expect(alarms[0]).toMatch(
      /^Events 5–7 of session s1: the event stream skipped them\. The session is marked/,
    )
    expect(alarms[1]).toMatch(/^Lines 2–4 of architect-20261120-001 of session s1: /)
    expect(temp.ledger.figures.gaps()).toBe(2)
    const noticed = (days: number): void => {
      const db = new Database(temp.path)
      db.prepare('UPDATE event_gap SET noticed_at = ?').run(
        new Date(Date.now() - days * 86_400_000).toISOString(),
      )
      db.close()
    }
    noticed(6)
    expect(temp.ledger.figures.alarms()).toMatchObject([{ name: 'event_gaps' }])
    noticed(8)
    expect(temp.ledger.figures.alarms()).toEqual([])
    expect(temp.ledger.figures.gaps()).toBe(2)
    expect(temp.ledger.events.lastSeq('s1')).toBe(9)
  })

  it('at the beginning of a session is one too', () => {
    record(talk(2).events.slice(3))
    expect(gaps()).toEqual([ofSession(1, 3)])
    expect(incomplete()).toBe(undefined)
  })

  it('of lines alone says that the pod could not send them', () => {
    const session = scriptedSession('s1').accepted().spawned(ONE)
    const [, second = ''] = scriptedSession('x').line(ONE, 'claude.a', {}).line(ONE, 'claude.b', {}).events
    const { header, payloadText } = splitEvent(second)
    const text = JSON.stringify({ ...header, session_id: 's1', seq: 3 }).slice(0, -1)
    record([...session.events, `${text},"payload":${payloadText}}`])
    expect(gaps()).toEqual([ofLines(1, 1, 'not_sent')])
    expect(incomplete()).toBe(true)
  })

  it('is filled by what comes: it shrinks, splits and goes', () => {
    const { events } = talk(6)
    record([...events.slice(0, 4), ...events.slice(8)])
    expect(gaps()).toEqual([ofSession(5, 8), ofLines(2, 5, 'not_on_stream')])
    record(events.slice(5, 7))
    expect(gaps()).toEqual([
      ofSession(5, 5),
      ofSession(6, 7, 1),
      ofSession(8, 8),
      ofLines(2, 2, 'not_on_stream'),
      ofLines(3, 4, 'not_on_stream', 1),
      ofLines(5, 5, 'not_on_stream'),
    ])
    expect(incomplete()).toBe(true)
    record(events)
    expect(temp.ledger.figures.gaps()).toBe(0)
    expect(incomplete()).toBe(false)
    // Nothing is filled twice.
    expect(record(events).alarms).toEqual([])
  })

  it('whatever comes in whatever order: what is open is what is not here', () => {
    const session = talk(8).exited(ONE).closed(ONE)
    fc.assert(
      fc.property(
        fc.shuffledSubarray([...session.events.keys()], { minLength: 1 }),
        fc.integer({ min: 1, max: 5 }),
        (order, size) => {
          const own = createTempLedger()
          try {
            for (let at = 0; at < order.length; at += size)
              recordTexts(
                own.ledger,
                order.slice(at, at + size).map((index) => session.events[index] ?? ''),
              )
            const highest = Math.max(...order) + 1
            const missing = Array.from({ length: highest }, (_, index) => index + 1).filter(
              (seq) => !order.includes(seq - 1),
            )
            const open = own
              .rows('SELECT first, last FROM event_gap WHERE agent_id IS NULL AND filled_at IS NULL')
              .flatMap(({ first, last }) =>
                Array.from({ length: Number(last) - Number(first) + 1 }, (_, index) => Number(first) + index),
              )
            expect(open.toSorted((a, b) => a - b)).toEqual(missing)
          } finally {
            own.remove()
          }
        },
      ),
      { numRuns: 25 },
    )
  })

  it('beside an entry that cannot be read is found all the same, once', () => {
    const { events } = talk(3)
    const { alarms, faults } = record([...events.slice(0, 4), 'garbage', ...events.slice(5)])
    expect(faults).toHaveLength(1)
    expect(alarms).toHaveLength(2)
    expect(gaps()).toEqual([ofSession(5, 5), ofLines(2, 2, 'not_on_stream')])
  })

  it('is noticed again when the batch that showed it was not committed', () => {
    const { events } = talk(4)
    record(events.slice(0, 4))
    expect(() =>
      temp.ledger.transaction(() => {
        record(events.slice(6))
        throw new Error('died')
      }),
    ).toThrow('died')
    expect(gaps()).toEqual([])
    record(events.slice(6))
    expect(gaps()).toEqual([ofSession(5, 6), ofLines(2, 3, 'not_on_stream')])
  })
})

describe('a closing event', () => {
  it('that counts and sums up what is here leaves nothing to say', () => {
    const session = talk(3)
    session.closed(ONE, { lines_digest: digestOf(session.events) })
    expect(record(session.events).alarms).toEqual([])
    expect(incomplete()).toBe(false)
    expect(temp.rows('SELECT last_line, lines, digest FROM recorded_spool')).toEqual([
      { last_line: 3, lines: 3, digest: digestOf(session.events) },
    ])
  })

  it('shows a cut tail, until the lines come, in whatever order', () => {
    const whole = talk(5)
    const session = talk(2).closed(ONE, { lines: 5, lines_digest: digestOf(whole.events) })
    const { alarms } = record(session.events)
    expect(alarms).toEqual([expect.stringMatching(/^Lines 3–5 of .*its closing event counts them/)])
    expect(gaps()).toEqual([ofLines(3, 5, 'cut_tail')])
    expect(incomplete()).toBe(true)
    const late = session
      .line(ONE, 'claude.assistant', { text: 'line 3' }, true)
      .line(ONE, 'claude.assistant', { text: 'line 4' }, true)
      .line(ONE, 'claude.assistant', { text: 'line 5' }, true)
    record(late.events)
    expect(gaps()).toEqual([ofLines(3, 5, 'cut_tail', 1)])
    expect(incomplete()).toBe(false)
    expect(temp.rows('SELECT digest FROM recorded_spool')).toEqual([{ digest: digestOf(whole.events) }])
  })

  it('with another digest is an alarm', () => {
    const { alarms } = record(talk(3).closed(ONE, { lines_digest: 'a'.repeat(64) }).events)
    expect(alarms).toEqual([
      expect.stringMatching(/^The lines of architect-20261120-001 .* are not what its pod has/),
    ])
    expect(incomplete()).toBe(true)
  })

  it('that counts fewer lines than are here is an alarm', () => {
    const { alarms } = record(talk(3).closed(ONE, { lines: 2 }).events)
    expect(alarms).toHaveLength(1)
    expect(incomplete()).toBe(true)
  })

  it('of a tail that nobody knows is incomplete, until its pod is back and says more', () => {
    const session = talk(1).closed(ONE, { lines: 1, sha256: null, tail_unknown: true }).spawned(TWO)
    record(session.events)
    expect(gaps()).toEqual([])
    expect(incomplete()).toBe(true)
    session.line(ONE, 'claude.assistant', { text: 'line 2' }, true)
    record(session.closed(ONE, { lines: 2, lines_digest: digestOf(session.events) }, true).events)
    expect(incomplete()).toBe(false)
  })
})

describe('a superseded agent', () => {
  it('that still talks completes record and cost, and changes no state', () => {
    const session = talk(1).spawned(TWO, { retry_count: 1 }).started(TWO)
    record(session.events)
    const before = temp.rows(
      `SELECT status, completed_at FROM agent_lifecycle WHERE agent_id = ?`,
      ONE.agentId,
    )
    session
      .result(ONE, { usd: 0.25, output: 7 }, true)
      .own('drover.agent.health', { health_status: 'dead', cpu_percent: null, memory_mb: null }, ONE, true)
      .own('drover.agent.stalled', { reason: 'x' }, ONE, true)
      .own('drover.agent.killed', { reason: 'x', signal: 'SIGKILL', processes_killed: 1 }, ONE, true)
      .exited(ONE, { status: 'failed', exit_code: 1 }, true)
      .closed(ONE, { lines_digest: digestOf(session.events) }, true)
    expect(record(session.events)).toMatchObject({ faults: [], alarms: [] })
    expect(temp.ledger.sessions.get('s1')).toMatchObject({
      status: 'running',
      estimated_cost_usd: 0.25,
      output_tokens: 7,
      incomplete: false,
    })
    expect(
      temp.rows(`SELECT status, completed_at FROM agent_lifecycle WHERE agent_id = ?`, ONE.agentId),
    ).toEqual(before)
    expect(before).toEqual([{ status: 'superseded', completed_at: expect.any(String) }])
  })

  it('that started late is recorded as superseded, and the session stays with its successor', () => {
    const session = scriptedSession('s1').accepted().spawned(TWO).started(TWO)
    session.own(
      'drover.agent.started',
      {
        pid: 1,
        startup_ms: 1,
        started_at: '2026-11-20T09:00:00.000Z',
        model: null,
        claude_code_version: null,
      },
      ONE,
      true,
    )
    record(session.events)
    expect(temp.ledger.sessions.get('s1')).toMatchObject({ status: 'running', agent_id: TWO.agentId })
  })
})

describe('actions', () => {
  it('say who asked for what', () => {
    const actor = { via: 'http', name: 'night-shift' } as const
    const session = scriptedSession('s1')
      .accepted({ task_id: 'A' }, { actor: { via: 'cli', name: null } })
      .spawned(ONE)
      .started(ONE)
      .own('drover.session.restarting', {
        reason: 'crashed',
        message: 'x',
        restarts: 1,
        backoff_ms: 1,
        not_before: '',
      })
      .own('drover.session.restarting', { reason: 'cancelled', restarts: 0, actor }, ONE)
      .own(
        'drover.session.cancel_requested',
        { actor, reason: 'too slow', grace_seconds: null, force: false },
        ONE,
      )
      .own('drover.message.sent', { actor, message_id: 'm1', text: 'Stop.', priority: 'next' }, ONE)
      .exited(ONE, { status: 'killed' })
    record(session.events)
    record(scriptedSession('s2').accepted({}, { restart_of: 's1', actor }).events)
    expect(
      temp.rows('SELECT action, actor_via, actor_name, session_id, agent_id, task_id, detail FROM actions'),
    ).toEqual([
      {
        action: 'spawn',
        actor_via: 'cli',
        actor_name: null,
        session_id: 's1',
        agent_id: null,
        task_id: 'A',
        detail: null,
      },
      ...(['restart', 'kill', 'send'] as const).map((action) => ({
        action,
        actor_via: 'http',
        actor_name: 'night-shift',
        session_id: 's1',
        agent_id: ONE.agentId,
        task_id: 'A',
        detail: { restart: 'cancelled', kill: 'too slow', send: null }[action],
      })),
      {
        action: 'restart',
        actor_via: 'http',
        actor_name: 'night-shift',
        session_id: 's2',
        agent_id: null,
        task_id: null,
        detail: null,
      },
    ])
  })
})

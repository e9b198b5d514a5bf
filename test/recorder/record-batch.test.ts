import Database from 'better-sqlite3'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isBusy } from '../../src/ledger/database.ts'
import { recordBatch, RecorderSuperseded } from '../../src/recorder/record-batch.ts'
import { createTempLedger, type TempLedger } from '../ledger/temp-ledger.ts'
import { at, pendingTask, recordTexts, scriptedSession, STREAM_KEY } from './scripted-session.ts'

const ONE = { agentId: 'architect-20261120-001', epoch: 100 }
const TWO = { agentId: 'architect-20261120-002', epoch: 200 }
const OTHER = { agentId: 'code-developer-20261120-001', epoch: 150 }

let temp: TempLedger
beforeEach(() => {
  temp = createTempLedger()
})
afterEach(() => temp.remove())

/** Two sessions of two tasks, one with a restart and late lines, as they lie on the stream together. */
function wholeStream(): string[] {
  const first = scriptedSession('s1')
    .accepted({ task_id: 'A' })
    .own('drover.task.spawned', { task_id: 'A', session_id: 's1' })
    .own('drover.session.claimed', { pod_id: 'pod-1' })
    .spawned(ONE)
    .line(ONE, 'claude.system.init', { type: 'system' })
    .started(ONE)
    .result(ONE, { input: 10, output: 4, usd: 0.1 })
    .exited(ONE, { status: 'failed', exit_code: 1, message: 'It crashed.' })
    .closed(ONE, { lines: 3 })
    .own('drover.session.restarting', {
      reason: 'crashed',
      message: 'x',
      restarts: 1,
      backoff_ms: 1,
      not_before: at(9),
    })
    .spawned(TWO, { retry_count: 1 })
    .started(TWO)
    .line(ONE, 'claude.assistant', { type: 'assistant' }, true)
    .result(TWO, { input: 1, usd: 0.05 })
    .exited(TWO)
    .closed(TWO)
    .ended({
      cost_micros: 150_000,
      usage: { input_tokens: 11, output_tokens: 4, cache_read_tokens: 0, cache_creation_tokens: 0 },
      restarts: 1,
    })
    .own('drover.task.ended', { task_id: 'A', status: 'completed', error_message: null })
  const second = scriptedSession('s2', 'code_developer')
    .accepted({ task_id: 'B' })
    .spawned(OTHER)
    .started(OTHER)
    .line(OTHER, 'claude.assistant', { text: 'héllo ✓ \u{1f600}' })
    .own('drover.agent.health', { health_status: 'healthy', cpu_percent: 1, memory_mb: 2 }, OTHER)
  const stream = [pendingTask('A'), pendingTask('B', ['A'])]
  for (let index = 0; index < first.events.length; index++) {
    stream.push(
      first.events[index] ?? '',
      ...(second.events[index] === undefined ? [] : [second.events[index] ?? '']),
    )
  }
  return stream
}

/** Row numbers may differ (a repeat takes none): what counts is what the rows say. */
function contentOf(ledger: TempLedger): unknown {
  return JSON.parse(
    JSON.stringify(ledger.dump(), (key: string, value: unknown) => (key === 'event_id' ? undefined : value)),
  )
}

describe('recordBatch', () => {
  it('gives the same tables whatever the batches, however often parts are repeated', () => {
    const stream = wholeStream()
    recordTexts(temp.ledger, stream)
    const expected = contentOf(temp)
    expect(temp.ledger.sessions.get('s1')).toMatchObject({
      status: 'completed',
      incomplete: false,
      restarts: 1,
    })

    fc.assert(
      fc.property(
        // Each step goes on by so many events, and goes so far back before that: a batch whose commit was not noticed.
        fc.array(fc.record({ back: fc.nat({ max: 12 }), on: fc.integer({ min: 1, max: 12 }) }), {
          maxLength: 20,
        }),
        (steps) => {
          const own = createTempLedger()
          try {
            let done = 0
            for (const { back, on } of [...steps, { back: 0, on: stream.length }]) {
              const from = Math.max(0, done - back)
              const batch = stream.slice(from, done + on)
              if (batch.length > 0) recordTexts(own.ledger, batch)
              done = Math.min(stream.length, done + on)
            }
            expect(contentOf(own)).toEqual(expected)
          } finally {
            own.remove()
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  it('sets aside what is no event, and goes on', () => {
    const good = scriptedSession('s1').accepted().events
    const bad = [
      'garbage',
      '{"session_id":"s1"}',
      // Not JSON in the payload, no number as seq, no session and no task, a payload without its members.
      '{"session_id":"s9","agent_id":null,"agent_type":"a","epoch":0,"seq":1,"line":null,"ts":"t","type":"x","payload":{}',
      '{"session_id":"s9","agent_id":null,"agent_type":"a","epoch":0,"seq":1,"line":null,"ts":"t","type":"x","payload":{"a"}}',
      '{"session_id":"s9","agent_id":null,"agent_type":"a","epoch":0,"seq":"one","line":null,"ts":"t","type":"x","payload":{}}',
      '{"session_id":null,"agent_id":null,"agent_type":"a","epoch":0,"seq":null,"line":null,"ts":"t","type":"x","payload":{}}',
      '{"session_id":"s9","agent_id":null,"agent_type":"a","epoch":0,"seq":2,"line":null,"ts":"t","type":"drover.session.ended","payload":{}}',
      '{"session_id":"s9","agent_id":null,"agent_type":"a","epoch":0,"seq":3,"line":null,"ts":"t","type":"drover.agent.started","payload":null}',
      '{"session_id":{"a":1},"agent_id":null,"agent_type":"a","epoch":0,"seq":3,"line":null,"ts":"t","type":"x","payload":{}}',
    ]
    const { faults } = recordTexts(temp.ledger, [...bad, ...good, pendingTask('A')])
    expect(faults).toHaveLength(bad.length)
    expect(temp.rows('SELECT text FROM recorder_fault ORDER BY fault_id').map(({ text }) => text)).toEqual(
      bad,
    )
    expect(temp.rows(`SELECT count(*) AS n FROM recorder_fault WHERE reason = ''`)).toEqual([{ n: 0 }])
    expect(temp.ledger.sessions.get('s1')?.status).toBe('queued')
    expect(temp.ledger.tasks.get('A')?.status).toBe('pending')
    // The two that were events are there to be read, although what they mean could not be worked out.
    expect(temp.ledger.events.lastSeq('s9')).toBe(3)
    expect(temp.ledger.tables.faults.count()).toBe(bad.length)
  })

  it('keeps an entry with another field than "event"', () => {
    recordTexts(temp.ledger, [pendingTask('A')])
    const { epoch } = temp.ledger.tables.position.read(STREAM_KEY) ?? { epoch: 0 }
    const entry = { id: '9999999-0', text: null, raw: '["other","x"]' }
    expect(recordBatch(temp.ledger, epoch, [entry], at(0)).faults).toHaveLength(1)
    // The same entry again is the same fault.
    recordBatch(temp.ledger, epoch, [entry], at(0))
    expect(temp.rows('SELECT stream_id, text FROM recorder_fault')).toEqual([
      { stream_id: '9999999-0', text: '["other","x"]' },
    ])
  })

  it('does not let one event take the place of another', () => {
    recordTexts(
      temp.ledger,
      scriptedSession('s1').accepted().spawned(ONE).line(ONE, 'claude.a', { a: 1 }).events,
    )
    const otherPlace = scriptedSession('s1').accepted({ prompt: 'Something else.' })
    const otherLine = scriptedSession('s2').accepted().line(ONE, 'claude.a', { a: 2 })
    const { faults } = recordTexts(temp.ledger, [...otherPlace.events, ...otherLine.events])
    expect(faults).toHaveLength(2)
    expect(temp.ledger.sessions.get('s1')).toMatchObject({
      task_description: 'Write the spec.',
      incomplete: true,
    })
  })

  it('refuses a recorder that another one has succeeded, and writes nothing of its batch', () => {
    recordTexts(temp.ledger, [pendingTask('A')])
    const { tables } = temp.ledger
    const old = tables.position.read(STREAM_KEY)?.epoch ?? 0
    tables.position.claim(STREAM_KEY, at(0))
    const [text = ''] = scriptedSession('s1').accepted().events
    const entries = [{ id: '9999998-0', text, raw: text }]
    expect(() => recordBatch(temp.ledger, old, entries, at(0))).toThrow(RecorderSuperseded)
    expect(temp.ledger.sessions.get('s1')).toBeNull()
    expect(tables.position.read(STREAM_KEY)?.streamId).not.toBe('9999998-0')
  })

  it('refuses the stream of another namespace', () => {
    recordTexts(temp.ledger, [pendingTask('A')])
    expect(() => temp.ledger.tables.position.claim('{drover:other}:events', at(0))).toThrow(
      /records \{drover:test\}:events, not \{drover:other\}:events\. Give each namespace a data directory/,
    )
  })

  it('writes nothing while the file is locked, and all of it afterwards', () => {
    recordTexts(temp.ledger, [pendingTask('A')])
    const holder = new Database(temp.path)
    holder.exec('BEGIN IMMEDIATE')
    let refusal: unknown
    try {
      recordTexts(temp.ledger, scriptedSession('s1').accepted().events)
    } catch (error) {
      refusal = error
    }
    expect(isBusy(refusal)).toBe(true)
    holder.exec('ROLLBACK')
    holder.close()
    expect(temp.ledger.sessions.get('s1')).toBeNull()
    recordTexts(temp.ledger, scriptedSession('s1').accepted().events)
    expect(temp.ledger.sessions.get('s1')?.status).toBe('queued')
  })

  it('keeps every line of any JSON value, verbatim', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), (json) => {
        const own = createTempLedger()
        try {
          const session = scriptedSession('s1')
            .accepted()
            .spawned(ONE)
            .line(ONE, 'claude.result', JSON.parse(json))
          expect(recordTexts(own.ledger, session.events).faults).toEqual([])
          expect(own.ledger.events.page('s1', 0, 10).events).toEqual(session.events)
          expect(own.rows('SELECT json_valid(metadata) AS ok FROM claude_stream_messages')).toEqual([
            { ok: 1 },
          ])
          own.rows('SELECT content FROM claude_stream_messages')
        } finally {
          own.remove()
        }
      }),
      { numRuns: 40 },
    )
  })
})

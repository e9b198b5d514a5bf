import { afterEach, beforeEach, expect, it } from 'vitest'
import { composeEvent } from '../../src/core/envelope.ts'
import { readLine } from '../../src/session/line.ts'
import { createTempLedger, type TempLedger } from '../ledger/temp-ledger.ts'
import { at, recordTexts, scriptedSession } from './scripted-session.ts'

const ONE = { agentId: 'architect-20261120-001', epoch: 100 }

let temp: TempLedger
beforeEach(() => {
  temp = createTempLedger()
})
afterEach(() => temp.remove())

/** A line of the agent with a payload that no `JSON.stringify` would print. */
function lineEvent(seq: number, line: number, type: string, payloadText: string): string {
  const header = {
    session_id: 's1',
    agent_id: ONE.agentId,
    agent_type: 'architect',
    epoch: ONE.epoch,
    seq,
    line,
    ts: at(seq),
    type,
  }
  return composeEvent(header, payloadText)
}

/** What a child may print and still be JSON. */
const HOSTILE: Readonly<Record<string, string>> = {
  'numbers that are none':
    '{"type":"result","total_cost_usd":1e400,"num_turns":-1e400,"usage":{"input_tokens":1e308}}',
  'lone surrogates': '{"type":"result","result":"\\ud800 and \\udfff","errors":["\\ud83d"]}',
  'a NUL': '{"type":"result","result":"a\\u0000b","stop_reason":"\\u0000"}',
  'a prototype':
    '{"type":"result","__proto__":{"is_error":true},"constructor":{"prototype":{}},"model_usage_since_last_result":{"__proto__":{"inputTokens":7}}}',
  'keys twice': '{"type":"result","result":"first","result":"second","payload":1,"payload":{"a":2}}',
  'the mark of a payload': '{"type":"result","result":",\\"payload\\":{","x":",\\"seq\\":9"}',
  'no object': '[[[null,true,"x"]]]',
  null: 'null',
  'a bare number': '-0.0e-7',
  spaces: '  { "type" : "result" }\t',
  'depth 500': `${'['.repeat(500)}${']'.repeat(500)}`,
  'results of the wrong kinds':
    '{"type":"result","result":{"a":1},"errors":"x","is_error":"yes","stop_reason":[],"modelUsage":[],"model_usage_since_last_result":"x"}',
  'messages of the wrong kinds':
    '{"type":"assistant","message":{"id":{},"model":[],"usage":{"input_tokens":"1e9","output_tokens":-5},"content":{"type":"text"}}}',
}

it.each(Object.entries(HOSTILE))('%s: recorded verbatim, and nothing stops', (_name, payload) => {
  const start = scriptedSession('s1').accepted().spawned(ONE).events
  const types = ['claude.result.success', 'claude.assistant', 'claude.user', 'claude.system.init']
  const lines = types.map((type, index) => lineEvent(3 + index, 1 + index, type, payload))
  const { faults, alarms } = recordTexts(temp.ledger, [...start, ...lines])
  expect(faults).toEqual([])
  expect(alarms).toEqual([])
  expect(temp.ledger.events.page('s1', 2, 10).events).toEqual(lines)
  // What reads them does not fail on them either.
  temp.rows('SELECT content, text, metadata FROM claude_stream_messages')
  expect(temp.ledger.sessions.get('s1')?.estimated_cost_usd).toBe(0)
})

it('a line that is nested 10,000 deep becomes text at the pod; where it gets through, it is set aside with its session', () => {
  const deep = `${'['.repeat(10_000)}${']'.repeat(10_000)}`
  expect(readLine(Buffer.from(deep), 1, false)).toMatchObject({ type: 'claude.unparsed' })

  const start = scriptedSession('s1').accepted().spawned(ONE).events
  const bad = lineEvent(3, 1, 'claude.result', deep)
  const { faults } = recordTexts(temp.ledger, [...start, bad, lineEvent(4, 2, 'claude.assistant', '{}')])
  expect(faults).toEqual([expect.stringMatching(/CHECK constraint failed: json_valid/)])
  expect(temp.rows('SELECT session_id, text FROM recorder_fault')).toEqual([{ session_id: 's1', text: bad }])
  expect(temp.ledger.events.lastSeq('s1')).toBe(4)
  expect(temp.ledger.sessions.get('s1')?.incomplete).toBe(true)
  expect(temp.ledger.gaps.ofSession('s1')).toMatchObject([
    { agent_id: null, first: 3, last: 3 },
    { agent_id: ONE.agentId, first: 1, last: 1 },
  ])
})

it('a line of 10 MB is one event like any other', () => {
  const payload = JSON.stringify({ type: 'assistant', text: 'x'.repeat(10 * 1024 * 1024) })
  const big = lineEvent(3, 1, 'claude.assistant', payload)
  const { faults } = recordTexts(temp.ledger, [...scriptedSession('s1').accepted().spawned(ONE).events, big])
  expect(faults).toEqual([])
  expect(temp.ledger.events.page('s1', 2, 10).events[0] === big).toBe(true)
})

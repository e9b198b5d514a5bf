import { expect, test } from 'vitest'
import type { WitnessRecord } from '../../support/fake-claude.ts'
import { overlapsOf } from './lives.ts'

/** What the witness of an agent writes: a beat every 50 ms between two instants, in ms. */
function life(agent: string, from: number, to: number, frozenFrom = to, frozenTo = to): WitnessRecord[] {
  const records: WitnessRecord[] = []
  for (let at = from; at <= to; at += 50) {
    if (at > frozenFrom && at < frozenTo) continue
    records.push(recordOf(at === from ? 'start' : 'beat', agent, at))
  }
  return records
}

function recordOf(kind: WitnessRecord['kind'], agent: string, at: number): WitnessRecord {
  return {
    kind,
    mono_ns: String(at * 1e6),
    pid: 1,
    agent_type: 'architect',
    session_id: 's',
    agent_id: agent,
  }
}

test('agents one after the other do not overlap', () => {
  expect(overlapsOf([...life('a', 0, 1000), ...life('b', 1050, 2000)], [])).toEqual([])
})

test('agents at the same time overlap, by their beats and by the lock', () => {
  const records = [...life('a', 0, 1000), ...life('b', 800, 2000), recordOf('violation', 'b', 800)]
  expect(overlapsOf(records, [])).toEqual([
    { agentType: 'architect', agents: ['a', 'b'], ms: 200, thawed: false, seenBy: 'beats' },
    { agentType: 'architect', agents: ['a', 'b'], ms: 0, thawed: false, seenBy: 'lock' },
  ])
})

test('a frozen agent that never acts again overlaps nobody', () => {
  const records = [...life('a', 0, 1000), ...life('b', 3000, 5000), recordOf('violation', 'b', 3000)]
  expect(overlapsOf(records, [{ agentIds: ['a'], from: 1000, to: 4000 }])).toEqual([])
})

test('the lock that a frozen agent holds accuses nobody who is dead by then', () => {
  const records = [...life('a', 0, 1000), ...life('b', 3000, 3200), ...life('c', 3300, 3400)]
  const seen = [...records, recordOf('violation', 'b', 3000), recordOf('violation', 'c', 3300)]
  expect(overlapsOf(seen, [{ agentIds: ['a'], from: 1000, to: null }])).toEqual([])
  expect(overlapsOf(seen, [])).toMatchObject([{ agents: ['a', 'b'] }, { agents: ['b', 'c'] }])
})

test('a thawed agent may live on for 250 ms, counted apart', () => {
  const frozen = [{ agentIds: ['a'], from: 1000, to: 4000 }]
  const quick = [...life('a', 0, 4200, 1000, 4000), ...life('b', 3000, 5000)]
  expect(overlapsOf(quick, frozen)).toMatchObject([{ ms: 200, thawed: true }])
  const slow = [...life('a', 0, 4500, 1000, 4000), ...life('b', 3000, 5000)]
  expect(overlapsOf(slow, frozen)).toMatchObject([{ ms: 500, thawed: false }])
})

test('a lock that nobody known holds is an overlap', () => {
  const records = [...life('b', 3000, 3100), recordOf('violation', 'b', 3000)]
  expect(overlapsOf(records, [])).toMatchObject([{ thawed: false, seenBy: 'lock' }])
})

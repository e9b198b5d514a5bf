import { describe, expect, test } from 'vitest'
import { refuseLineage, type Ancestor } from '../../src/core/lineage.ts'

const ancestor = (agentType: string, more: Partial<Ancestor> = {}): Ancestor => ({
  sessionId: `s-${agentType}`,
  agentType,
  state: 'running',
  awaited: true,
  ...more,
})
const LIMITS = { maxDepth: 3 }
const ask = (chain: readonly Ancestor[], agentType: string, awaited = true, maxInstances = 1): void =>
  refuseLineage(chain, { agentType, awaited, maxInstances }, LIMITS)

describe('a session that would wait for itself', () => {
  test('asks for its own type, or for that of one that waits for it', () => {
    expect(() => ask([ancestor('a')], 'a')).toThrow(
      'a (s-a) → a would wait for ever: the only slot of a is held',
    )
    expect(() => ask([ancestor('b'), ancestor('a')], 'a')).toThrow(
      'a (s-a) → b (s-b) → a would wait for ever',
    )
  })

  test('is none where a slot is free, or will be', () => {
    // It does not wait itself.
    ask([ancestor('a')], 'a', false)
    // There is a second slot.
    ask([ancestor('a')], 'a', true, 2)
    // Whoever has the slot does not wait: it ends some time.
    ask([ancestor('b', { awaited: false }), ancestor('a')], 'a')
    // It has ended.
    ask([ancestor('b'), ancestor('a', { state: 'failed' })], 'a')
    expect(() => ask([ancestor('a'), ancestor('a')], 'a', true, 2)).toThrow('all 2 slots of a are held')
  })
})

test('a tree is as deep as it may be, and no deeper', () => {
  const chain = ['d', 'c', 'b', 'a'].map((name) => ancestor(name))
  ask(chain.slice(1), 'e')
  expect(() => ask(chain, 'e')).toThrow('would be 4 deep; sessions may start sessions 3 deep')
})

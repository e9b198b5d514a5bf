import { expect, test } from 'vitest'
import { refuseTooDeep, type Ancestor } from '../../src/core/lineage.ts'

test('a tree is as deep as it may be, and no deeper', () => {
  const chain = ['d', 'c', 'b', 'a'].map((name): Ancestor => {
    return { sessionId: `s-${name}`, agentType: name, state: 'running' }
  })
  refuseTooDeep(chain.slice(1), 'e', { maxDepth: 3 })
  expect(() => refuseTooDeep(chain, 'e', { maxDepth: 3 })).toThrow(
    'a (s-a) → b (s-b) → c (s-c) → d (s-d) → e would be 4 deep; sessions may start sessions 3 deep',
  )
})

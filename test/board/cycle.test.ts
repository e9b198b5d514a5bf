import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { findCycle } from '../../src/board/cycle.ts'

const lookIn =
  (graph: Readonly<Record<string, readonly string[]>>) =>
  (id: string): readonly string[] =>
    graph[id] ?? []

test('names the way around', () => {
  const graph = { a: ['b', 'x'], b: ['c'], c: ['b'], x: [] }
  expect(findCycle(['a'], lookIn(graph))).toEqual(['b', 'c', 'b'])
  expect(findCycle(['x'], lookIn(graph))).toBeNull()
  expect(findCycle(['a'], lookIn({ a: ['a'] }))).toEqual(['a', 'a'])
})

test('two ways to the same task are no cycle', () => {
  expect(findCycle(['a'], lookIn({ a: ['b', 'c'], b: ['d'], c: ['d'], d: [] }))).toBeNull()
})

test('a chain of 10,000 is found to be none', () => {
  const chain = (id: string): string[] => (Number(id) < 10_000 ? [String(Number(id) + 1)] : [])
  expect(findCycle(['0'], chain)).toBeNull()
})

test('what it answers is a cycle, and it answers one exactly where there is no order', () => {
  const node = fc.integer({ min: 0, max: 7 }).map(String)
  fc.assert(
    fc.property(fc.array(fc.tuple(node, node), { maxLength: 14 }), (edges) => {
      const dependenciesOf = (id: string): string[] =>
        edges.filter(([from]) => from === id).map(([, to]) => to)
      const cycle = findCycle(new Set(edges.flat()), dependenciesOf)
      expect(cycle !== null).toBe(!hasOrder(edges.flat(), dependenciesOf))
      const way = cycle ?? []
      expect(way.at(-1)).toBe(way[0])
      for (const [n, id] of way.slice(0, -1).entries()) expect(dependenciesOf(id)).toContain(way[n + 1])
    }),
  )
})

/** Taking away what waits for nothing, again and again, leaves nothing. */
function hasOrder(nodes: readonly string[], dependenciesOf: (id: string) => readonly string[]): boolean {
  const left = new Set(nodes)
  for (;;) {
    const free = [...left].find((id) => !dependenciesOf(id).some((other) => left.has(other)))
    if (free === undefined) return left.size === 0
    left.delete(free)
  }
}

import * as fc from 'fast-check'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { recordTexts, scriptedSession } from '../recorder/scripted-session.ts'
import { createTempLedger, type TempLedger } from './temp-ledger.ts'

let temp: TempLedger
beforeEach(() => {
  temp = createTempLedger()
})
afterEach(() => temp.remove())

interface Origin {
  readonly created_by?: string
  readonly restart_of?: string
}

/** A session with one agent that used so many dollars. */
function spent(id: string, usd: number, origin: Origin = {}, type = 'architect'): readonly string[] {
  const agent = { agentId: `${type}-${id}`, epoch: 1 }
  return scriptedSession(id, type).accepted({}, origin).spawned(agent).result(agent, { usd, input: 10 })
    .events
}

const roots = () =>
  Object.fromEntries(
    temp
      .rows('SELECT session_id, root_session_id FROM agent_sessions')
      .map(({ session_id, root_session_id }) => [session_id, root_session_id]),
  )

it('a tree has the cost of all of its sessions, restarts by hand included', () => {
  recordTexts(temp.ledger, [
    ...spent('root', 1),
    ...spent('child', 0.2, { created_by: 'root' }, 'code_developer'),
    ...spent('again', 0.03, { restart_of: 'child', created_by: 'root' }),
    ...spent('under', 0.004, { created_by: 'again' }),
    ...spent('other', 7),
  ])
  expect(temp.ledger.cost('tree').rows).toMatchObject([
    { key: 'other', sessions: 1, cost_usd: 7 },
    { key: 'root', sessions: 4, cost_usd: 1.234, input_tokens: 40 },
  ])
  expect(temp.rows('SELECT root_session_id, sessions, cost_micros FROM cost_by_tree ORDER BY 1')).toEqual([
    { root_session_id: 'other', sessions: 1, cost_micros: 7_000_000 },
    { root_session_id: 'root', sessions: 4, cost_micros: 1_234_000 },
  ])
  const { children, tree } = temp.ledger.trees.of('child')
  expect(children).toMatchObject([{ session_id: 'again', restart_of: 'child', parent_session_id: 'child' }])
  expect(tree).toMatchObject({ root_session_id: 'root', sessions: 4, cost_usd: 1.234 })
  expect(tree.members.map(({ session_id }) => session_id)).toEqual(['again', 'child', 'root', 'under'])
})

it('by model: rows and total agree with every other grouping', () => {
  recordTexts(temp.ledger, [...spent('a', 1), ...spent('b', 0.5)])
  const { rows, total } = temp.ledger.cost('model')
  expect(rows).toMatchObject([{ key: 'claude-opus-5-5', sessions: 2, cost_usd: 1.5, input_tokens: 20 }])
  expect(total).toEqual(temp.ledger.cost('session').total)
  expect(temp.rows('SELECT model, sessions, cost_usd FROM cost_by_model')).toEqual([
    { model: 'claude-opus-5-5', sessions: 2, cost_usd: 1.5 },
  ])
  expect(temp.ledger.trees.models('b')).toEqual([
    {
      model: 'claude-opus-5-5',
      input_tokens: 10,
      output_tokens: 0,
      cache_read_tokens: 0,
      cache_creation_tokens: 0,
      web_search_requests: 0,
      cost_usd: 0.5,
      estimated: false,
    },
  ])
})

it('rows are limited, and the total is not', () => {
  recordTexts(temp.ledger, [...spent('a', 1), ...spent('b', 3), ...spent('c', 2)])
  const report = temp.ledger.cost('session', { limit: 2 })
  expect(report.rows.map(({ key }) => key)).toEqual(['b', 'c'])
  expect(report).toMatchObject({ rows_omitted: 1, total: { sessions: 3, cost_usd: 6 } })
  expect(() => temp.ledger.cost('session', { limit: 0 })).toThrow(/limit/)
})

it('a cycle that somebody made up ends nowhere', () => {
  recordTexts(temp.ledger, [
    ...spent('self', 1, { created_by: 'self' }),
    ...spent('a', 1, { created_by: 'b' }),
    ...spent('b', 1, { created_by: 'a' }),
  ])
  expect(roots()).toEqual({ self: 'self', a: 'b', b: 'b' })
  expect(temp.ledger.trees.of('a').tree.sessions).toBe(2)
})

it('the root does not depend on the order in which a tree is recorded', () => {
  // Each is the child of one before it, or of nobody.
  const parents = fc.array(fc.nat(), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(parents, fc.infiniteStream(fc.nat()), (numbers, random) => {
      const parentOf = numbers.map((number, index) => (index === 0 ? -1 : (number % (index + 1)) - 1))
      const rootOf = (index: number): number => {
        const parent = parentOf[index] ?? -1
        return parent < 0 ? index : rootOf(parent)
      }
      const run = `run-${Math.random()}-`
      const texts = parentOf.map((parent, index) =>
        scriptedSession(`${run}${index}`).accepted({}, parent < 0 ? {} : { created_by: `${run}${parent}` }),
      )
      const shuffled = texts
        .map(({ events }) => ({ events, at: random.next().value ?? 0 }))
        .toSorted((a, b) => a.at - b.at)
      for (const { events } of shuffled) recordTexts(temp.ledger, events)
      const found = roots()
      parentOf.forEach((_, index) => expect(found[`${run}${index}`]).toBe(`${run}${rootOf(index)}`))
    }),
    { numRuns: 60 },
  )
})

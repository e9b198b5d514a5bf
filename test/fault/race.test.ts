/** F29: eight pods race for the sessions of one agent type. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openField, type Field } from './rig/field.ts'
import { checkInvariants } from './rig/invariants.ts'
import { livesOf } from './rig/lives.ts'

const PODS = 8
const SESSIONS = 20

let field: Field
beforeAll(async () => {
  field = await openField({ pods: PODS })
}, 90_000)
afterAll(() => field.close())

test('F29 eight pods race for one type: one agent at a time, in order, each session once', async () => {
  for (let session = 0; session < SESSIONS; session++) await field.spawn({ exit_after_result: true })
  const figures = await checkInvariants(field, { timeoutMs: 50_000 })
  expect(figures).toMatchObject({ sessions: SESSIONS, agents: SESSIONS, thawedOverlaps: 0, lateEvents: 0 })
  expect(field.ledger.sessions().every((row) => row.status === 'completed' && row.restarts === 0)).toBe(true)
  const lives = livesOf(field.witness())
  expect(lives.map((life) => life.sessionId)).toEqual(field.accepted)
  for (const [index, life] of lives.slice(1).entries())
    expect(life.from).toBeGreaterThan(lives[index]?.to ?? Infinity)
})

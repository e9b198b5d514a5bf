import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { scriptSchema } from '../../src/rehearsal/script.ts'
import { faultOf, promptsOf, turnIndex, type Message } from '../../src/rehearsal/select-turn.ts'

const user = (content: string): Message => ({ role: 'user', content, hasToolCalls: false })
const assistant = (content: string | null, hasToolCalls = false): Message => {
  return { role: 'assistant', content, hasToolCalls }
}
const toolResult: Message = { role: 'tool', content: 'done', hasToolCalls: false }
const neverAnswered = assistant('No response requested.')
const cutOff = [
  assistant('half of an ans'),
  user('Your response above was cut off mid-stream. Resume directly.'),
]

describe('turnIndex', () => {
  test('is the number of turns taken', () => {
    expect(turnIndex([user('hi')], 3)).toBe(0)
    expect(turnIndex([user('hi'), assistant('a'), user('and?')], 3)).toBe(1)
    expect(turnIndex([user('hi'), assistant(null, true), toolResult, toolResult], 3)).toBe(1)
  })

  test('goes on after the tool call that was killed, as `--resume` presents it', () => {
    const resumed = [user('hi'), assistant(null, true), toolResult, neverAnswered, user('go on')]
    expect(turnIndex(resumed, 3)).toBe(1)
  })

  test('begins anew when it was killed before the first answer', () => {
    expect(turnIndex([user('hi'), neverAnswered, user('go on')], 3)).toBe(0)
  })

  test('says a turn again whose stream broke off', () => {
    expect(turnIndex([user('hi'), ...cutOff], 3)).toBe(0)
    expect(turnIndex([user('hi'), assistant(null, true), toolResult, ...cutOff], 3)).toBe(1)
  })

  test('takes the synthetic words for a turn when a tool call comes with them', () => {
    expect(turnIndex([user('hi'), assistant('No response requested.', true), toolResult], 3)).toBe(1)
  })

  test('counts the turns of any conversation, whatever is between them, and stops at the last', () => {
    const noise = fc.constantFrom([user('more')], [toolResult], [neverAnswered], cutOff)
    const turn = fc.oneof(fc.constant(assistant('text')), fc.constant(assistant(null, true)))
    // A turn is not followed by a cut-off notice of its own making: a user's message stands between.
    const part = fc.oneof(
      noise.map((messages) => ({ messages, turns: 0 })),
      turn.map((message) => ({ messages: [message, user('next')], turns: 1 })),
    )
    fc.assert(
      fc.property(fc.array(part), fc.integer({ min: 1, max: 5 }), (parts, turnCount) => {
        const messages = parts.flatMap((one) => one.messages)
        const taken = parts.reduce((sum, one) => sum + one.turns, 0)
        expect(turnIndex(messages, turnCount)).toBe(Math.min(taken, turnCount - 1))
      }),
    )
  })
})

describe('promptsOf', () => {
  test("takes the first lines of the user's own words, without the reminders around them", () => {
    const reminder = '<system-reminder>\nToday is Monday.\n</system-reminder>\n'
    const messages = [
      user(`${reminder}  write a spec \nwith details`),
      assistant('a'),
      user(reminder),
      user(`also a test\n${reminder}`),
      ...cutOff,
    ]
    expect(promptsOf(messages)).toEqual({ first: 'write a spec', latest: 'also a test' })
  })

  test('is empty where the user said nothing', () => {
    expect(promptsOf([])).toEqual({ first: '', latest: '' })
  })
})

test('faultOf goes through the faults in their order, each its number of times', () => {
  const faults = [{ status: 529, times: 2 }, { cut_after_chunks: 3, times: 1 }, { status: 500 }]
  const script = scriptSchema.parse({ description: 'x', agents: { '*': [{ text: 'x', faults }] } })
  const turn = script.agents['*']?.[0]
  if (turn === undefined) throw new Error('the script has a turn')
  expect([0, 1, 2, 3, 1000].map((attempt) => faultOf(turn, attempt)?.status ?? 'cut')).toEqual([
    529,
    529,
    'cut',
    500,
    500,
  ])
  expect(faultOf({ ...turn, faults: [] }, 0)).toBeNull()
})

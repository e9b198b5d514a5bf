import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLiveInbox } from '../../src/board/live-inbox.ts'

const event = (seq: number, text = `event ${seq}`) => ({ seq, text })

test('gives what is next, once, and drops what the reader has', () => {
  const inbox = createLiveInbox()
  for (const seq of [3, 4, 4, 5]) inbox.push(event(seq))
  expect(inbox.take(3)).toEqual(event(4))
  expect(inbox.take(4)).toEqual(event(5))
  expect(inbox.take(5)).toBeNull()
  expect(inbox.misses(5)).toBe(false)
})

test('knows what is missing: before what it has, and what it was only told of', () => {
  const inbox = createLiveInbox()
  inbox.push(event(7))
  expect(inbox.take(4)).toBeNull()
  expect(inbox.misses(4)).toBe(true)
  expect(inbox.take(6)).toEqual(event(7))
  expect(inbox.misses(7)).toBe(false)
  inbox.expect(9)
  expect(inbox.misses(7)).toBe(true)
  expect(inbox.misses(9)).toBe(false)
})

test('holds no more than it may, and remembers that there was more', () => {
  const few = createLiveInbox(2, 1000)
  for (const seq of [1, 2, 3]) few.push(event(seq))
  expect(few.take(0)).toBeNull()
  expect(few.misses(0)).toBe(true)
  expect(few.take(2)).toEqual(event(3))

  const small = createLiveInbox(100, 10)
  small.push(event(1, 'x'.repeat(8)))
  small.push(event(2, 'x'.repeat(8)))
  expect(small.take(0)).toBeNull()
  // One that is too large by itself is kept: it is the newest.
  small.push(event(3, 'x'.repeat(50)))
  expect(small.take(2)).toEqual(event(3, 'x'.repeat(50)))
})

test('with a ledger behind it, nothing is lost, repeated or out of order', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ lost: fc.boolean(), reads: fc.nat(3), recorded: fc.boolean() }), {
        maxLength: 60,
      }),
      fc.integer({ min: 1, max: 5 }),
      (steps, bound) => {
        const inbox = createLiveInbox(bound, 1000)
        const got: number[] = []
        let recorded = 0
        const cursor = (): number => got.at(-1) ?? 0
        const read = (): void => {
          const next = inbox.take(cursor())
          if (next !== null) got.push(next.seq)
          else while (cursor() < recorded) got.push(cursor() + 1)
        }
        for (const [n, { lost, reads, recorded: commit }] of steps.entries()) {
          if (!lost) inbox.push(event(n + 1))
          if (commit) recorded = n + 1
          for (let k = 0; k < reads; k++) read()
        }
        recorded = steps.length
        inbox.expect(steps.length)
        while (inbox.misses(cursor())) read()
        expect(got).toEqual(steps.map((_, n) => n + 1))
      },
    ),
  )
})

import { expect, test } from 'vitest'
import { waitedUpTo } from '../../src/core/waited-time.ts'

test.for([
  ['nobody is waited for', { waitedMs: 70, waitingSince: 0, interruptedUntil: 0 }, 70],
  ['somebody is', { waitedMs: 70, waitingSince: 4000, interruptedUntil: 0 }, 1070],
  ['a message is', { waitedMs: 70, waitingSince: 4000, interruptedUntil: 9000 }, 1070],
  ['a message was waited for in vain', { waitedMs: 70, waitingSince: 4000, interruptedUntil: 4500 }, 570],
  ['the clock was set back', { waitedMs: 70, waitingSince: 6000, interruptedUntil: 0 }, 70],
] as const)('waits up to now: %s', ([, time, expected]) => {
  expect(waitedUpTo(time, 5000)).toBe(expected)
})

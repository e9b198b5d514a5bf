import { expect, test } from 'vitest'
import { ago, counted, seconds, usd } from '../../src/cli/format.ts'

test.each([
  [0, '$0'],
  [0.00001, '<$0.0001'],
  [0.0123, '$0.0123'],
  [0.9999, '$0.9999'],
  [1, '$1.00'],
  [1234.5, '$1234.50'],
])('usd(%d) is %s', (amount, text) => {
  expect(usd(amount)).toBe(text)
})

test.each([
  [0, '0.0 s'],
  [849, '0.8 s'],
  [12_340, '12.3 s'],
  [59_940, '59.9 s'],
  [59_999, '1 min 0 s'],
  [245_000, '4 min 5 s'],
  [7_380_000, '2 h 3 min'],
])('seconds(%d) is %s', (milliseconds, text) => {
  expect(seconds(milliseconds)).toBe(text)
})

test.each([
  ['2026-01-31T11:59:20.000Z', '40 s'],
  ['2026-01-31T11:48:00.000Z', '12 min'],
  ['2026-01-31T09:00:00.000Z', '3 h'],
  ['2026-01-26T12:00:00.000Z', '5 d'],
  // A clock that is ahead of ours.
  ['2026-01-31T12:00:05.000Z', '0 s'],
])('%s was %s ago', (time, text) => {
  expect(ago(time, new Date('2026-01-31T12:00:00.000Z'))).toBe(text)
})

test('counted', () => {
  expect([counted(0, 'turn'), counted(1, 'turn'), counted(2, 'turn')]).toEqual([
    '0 turns',
    '1 turn',
    '2 turns',
  ])
})

import { expect, it } from 'vitest'
import { walk } from '../../src/ledger/walk.ts'

function* rows(count: number, msEach = 0): Generator<number> {
  for (let row = count; row > 0; row--) {
    const over = performance.now() + msEach
    while (performance.now() < over);
    yield row
  }
}
const even = (row: number): boolean => row % 2 === 0

it('finds what is wanted, and says behind which row there is more', () => {
  expect(walk(rows(9), 2, even)).toEqual({ found: [8, 6], last: 6 })
  expect(walk(rows(4), 2, even)).toEqual({ found: [4, 2], last: 2 })
  expect(walk(rows(9), 9, even)).toEqual({ found: [8, 6, 4, 2], last: null })
  expect(walk([], 9, even)).toEqual({ found: [], last: null })
})

it('ends when its time is over, and every row is looked at in one of the pages that follow', () => {
  const found: number[] = []
  let pages = 0
  for (let last: number | null = 13; last !== null; pages++) {
    const page: ReturnType<typeof walk<number>> = walk(rows(last - 1, 10), 100, even)
    found.push(...page.found)
    last = page.last
  }
  expect(found).toEqual([12, 10, 8, 6, 4, 2])
  expect(pages).toBeGreaterThan(1)
})

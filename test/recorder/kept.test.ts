import { expect, test } from 'vitest'
import { createKept } from '../../src/recorder/kept.ts'

test('goes on from what was said before, and forgets it where the stream was counted', () => {
  const kept = createKept()
  kept.recorded(3)
  expect(kept.count()).toBe(null)
  kept.begin(10)
  expect(kept.count()).toBe(13)
  kept.trimmed(5)
  expect(kept.count()).toBe(8)
  kept.counted(7)
  kept.recorded(2)
  expect(kept.count()).toBe(9)
  kept.begin(100)
  expect(kept.count()).toBe(9)
  kept.fromStart()
  expect(kept.count()).toBe(0)
  kept.trimmed(4)
  expect(kept.count()).toBe(0)
})

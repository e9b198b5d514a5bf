import { getEventListeners } from 'node:events'
import { execa } from 'execa'
import { expect, test } from 'vitest'
import { sleep, systemClock } from '../../src/core/clock.ts'

test('the monotonic clock counts milliseconds and never goes back', () => {
  let before = systemClock.monotonic()
  for (let i = 0; i < 1000; i++) {
    const now = systemClock.monotonic()
    expect(now).toBeGreaterThanOrEqual(before)
    before = now
  }
})

test('two processes share its zero: a deadline of one can be checked by the other', async () => {
  const before = systemClock.monotonic()
  const source = `import { systemClock } from ${JSON.stringify(new URL('../../src/core/clock.ts', import.meta.url).href)}
    process.stdout.write(String(systemClock.monotonic()))`
  const { stdout } = await execa(process.execPath, ['--input-type=module', '--eval', source])
  expect(Number(stdout)).toBeGreaterThan(before)
  expect(Number(stdout)).toBeLessThan(systemClock.monotonic())
})

test('the wall clock is now', () => {
  const now = systemClock.now().getTime()
  expect(Math.abs(now - Date.now())).toBeLessThan(1000)
})

test('a sleep lasts at least its time and leaves no listener behind', async () => {
  const { signal } = new AbortController()
  const started = systemClock.monotonic()
  await sleep(20, signal)
  // Timers of Node count whole milliseconds.
  expect(systemClock.monotonic() - started).toBeGreaterThanOrEqual(19)
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  await sleep(1)
})

test('an abort ends a sleep at once, also one that had not begun', async () => {
  const controller = new AbortController()
  const asleep = sleep(3_600_000, controller.signal)
  controller.abort()
  await asleep
  await sleep(3_600_000, controller.signal)
  expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
})

import { expect, test } from 'vitest'
import { healthOf } from '../../src/core/health.ts'

const NOW = 1_000_000
const beat = (more: object = {}) => ({
  at: NOW - 5000,
  health: 'healthy',
  processState: 'S',
  leaseLost: false,
  ...more,
})

test.each([
  ['a fresh beat', {}, 'healthy'],
  ['a beat just within the timeout', { at: NOW - 59_999 }, 'healthy'],
  ['no beat for the timeout: its pod is frozen, dead or cut off', { at: NOW - 60_000 }, 'stalled'],
  ['its pod says so', { health: 'stalled' }, 'stalled'],
  ['stopped for a moment', { processState: 'T' }, 'healthy'],
  ['a zombie', { processState: 'Z' }, 'dead'],
  ['dead, and its pod says nothing any more', { processState: 'X', at: 0 }, 'dead'],
  ['its lease is lost: the worker is gone', { leaseLost: true }, 'dead'],
  ['nothing known but a start a moment ago', { health: null, processState: null }, 'healthy'],
] as const)('%s', (_what, more, health) => {
  expect(healthOf(beat(more), 60_000, NOW)).toBe(health)
})

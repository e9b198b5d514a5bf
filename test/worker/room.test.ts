import { expect, test } from 'vitest'
import {
  allowedCores,
  createLooker,
  freeCpuPercent,
  freeDisk,
  freeMemoryMb,
  type Look,
} from '../../src/worker/free.ts'
import { shortageOf, watchRoom } from '../../src/worker/room.ts'
import { until } from '../support/until.ts'

const LIMITS = { minFreeMemoryMb: 500, minFreeCpuPercent: 20, minFreeDiskMb: 100 }
const DISK = { mb: 5000, totalMb: 20_000, files: 1_000_000 }
const look = (more: Partial<Look> = {}): Look => ({
  at: 0,
  freeMemoryMb: 2000,
  disk: DISK,
  idle: 0,
  total: 0,
  groups: new Map(),
  ...more,
})

test.each([
  ['room', { cpuPercent: 20, memoryMb: 500 }, null],
  ['memory', { cpuPercent: 90, memoryMb: 120.4 }, '120 MB of memory free, 500 are needed'],
  ['CPU', { cpuPercent: 19.2, memoryMb: 900 }, '19 % of the CPU free, 20 are needed'],
  [
    'disk',
    { cpuPercent: 90, memoryMb: 900, disk: { mb: 99.9, totalMb: 20_000, files: null } },
    '99 MB of disk free, 100 are needed',
  ],
  ['a small disk', { cpuPercent: 90, memoryMb: 900, disk: { mb: 2, totalMb: 32, files: null } }, null],
  [
    'a small disk that is full',
    { cpuPercent: 90, memoryMb: 900, disk: { mb: 1.9, totalMb: 32, files: null } },
    '1 MB of disk free, 2 are needed',
  ],
  [
    'files',
    { cpuPercent: 90, memoryMb: 900, disk: { mb: 100, totalMb: 20_000, files: 999 } },
    '999 files can still be made on the disk, 1000 are needed',
  ],
  [
    'both',
    { cpuPercent: 1, memoryMb: 1 },
    '1 MB of memory free, 500 are needed; 1 % of the CPU free, 20 are needed',
  ],
])('what is short: %s', (_what, free, shortage) => {
  expect(shortageOf(LIMITS, { disk: DISK, ...free })).toBe(shortage)
})

test('a check that is off finds nothing short', () => {
  const none = { cpuPercent: 0, memoryMb: 0, disk: { mb: 0, totalMb: 20_000, files: 0 } }
  expect(shortageOf({ minFreeMemoryMb: 0, minFreeCpuPercent: 0, minFreeDiskMb: 0 }, none)).toBeNull()
})

test('CPU is that of the machine, or of the tightest quota', () => {
  const groups = (usedMs: number) => new Map([['/g', { cores: 2, usedMs }]])
  const first = look({ groups: groups(1000) })
  expect(freeCpuPercent(first, first)).toBe(100)
  expect(freeCpuPercent(first, look({ at: 1000, idle: 60, total: 100 }))).toBe(60)
  // 1.5 of 2 cores for a second: a quarter of the quota is left, though the machine is idle.
  expect(freeCpuPercent(first, look({ at: 1000, idle: 99, total: 100, groups: groups(2500) }))).toBe(25)
  // A burst beyond the quota.
  expect(freeCpuPercent(first, look({ at: 1000, idle: 99, total: 100, groups: groups(9000) }))).toBe(0)
})

test('only cores that this process may use count', () => {
  const may = allowedCores('0-1,4')
  expect([0, 1, 2, 3, 4, 5].filter(may)).toEqual([0, 1, 4])
  expect(allowedCores('')(7)).toBe(true)
})

test('room runs out and comes back; each change is told once, and a look that fails changes nothing', async () => {
  let now: Look | null = look({ freeMemoryMb: 100 })
  const told: (string | null)[] = []
  const failed: unknown[] = []
  const lookHere = async () => now ?? Promise.reject(new Error('no file is free'))
  const onChange = (shortage: string | null) => told.push(shortage)
  const room = watchRoom(LIMITS, onChange, (error) => failed.push(error), Promise.resolve(lookHere), 5)
  await until(() => room.shortage() !== null)
  expect(room.free()).toEqual({ cpuPercent: 100, memoryMb: 100, disk: DISK })
  now = null
  await until(() => failed.length > 1)
  expect(room.shortage()).not.toBeNull()
  now = look()
  await until(() => room.shortage() === null)
  expect(told).toEqual(['100 MB of memory free, 500 are needed', null])
  room.stop()
})

test('this machine can be looked at', async () => {
  const lookHere = await createLooker('/')
  const [first, last] = [await lookHere(), await lookHere()]
  expect(first.freeMemoryMb).toBeGreaterThan(0)
  expect(first.total).toBeGreaterThan(0)
  expect(first.disk?.mb).toBeGreaterThan(0)
  expect(first.disk?.totalMb).toBeGreaterThanOrEqual(first.disk?.mb ?? 0)
  // A file system that says nothing is taken for room.
  expect(await freeDisk('/proc')).toBeNull()
  expect(freeCpuPercent(first, last)).toBeLessThanOrEqual(100)
  expect(await freeMemoryMb()).toBeGreaterThan(0)
})

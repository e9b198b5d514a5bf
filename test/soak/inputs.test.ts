/** What a soak is made of, without running one: its options, and that a seed means the same inputs. */
import { expect, test } from 'vitest'
import { createRandom } from '../fault/rig/random.ts'
import { FAULT_KINDS } from './fault-kinds.ts'
import { chooseFaults } from './nemesis.ts'
import { commandOf, readOptions, timesOf } from './options.ts'
import { randomWork } from './scripts.ts'

const worksOf = (seed: number, count: number) => {
  const random = createRandom(seed)
  return Array.from({ length: count }, (_, index) => randomWork(random, `work-${index}`))
}

test('the command of a run asks for the same run', () => {
  for (const given of [
    ['--seed', '5'],
    ['--minutes', '0.5', '--faults', 'cli-kill,redis-kill'],
    ['--faults', 'none'],
  ]) {
    const options = readOptions(given)
    if (options === null) throw new Error('no options')
    const again = commandOf(options).replace('npm run soak -- ', '').split(' ')
    expect(readOptions(again)).toEqual(options)
  }
  expect(readOptions(['--faults', 'all'])?.faults).toEqual(FAULT_KINDS)
  expect(readOptions(['--help'])).toBeNull()
})

test.for([['--seed', 'x'], ['--pods', '0'], ['--minutes', ''], ['--faults', 'rain'], ['--rain']])(
  '%s is refused',
  (args) => {
    expect(() => readOptions(args)).toThrow(/out of range|no fault|Unknown option/)
  },
)

test('a seed means the same work and the same faults, another one others', () => {
  expect(worksOf(1, 50)).toEqual(worksOf(1, 50))
  expect(worksOf(1, 50)).not.toEqual(worksOf(2, 50))
  expect(chooseFaults(createRandom(1))).toEqual(chooseFaults(createRandom(1)))
})

test('a fifth of the work is hostile, and every kind of it comes up', () => {
  const works = worksOf(3, 3000)
  const healthy = works.filter(({ kind }) => ['talk', 'think', 'quick'].includes(kind))
  expect(healthy.length / works.length).toBeCloseTo(0.8, 1)
  expect(new Set(works.map(({ kind }) => kind)).size).toBe(16)
})

test('the lease fits its margin and its renewals at every scale', () => {
  for (const scale of [1, 5, 20, 40]) {
    const { ttlMs, renewMs, marginMs } = timesOf(scale)
    expect(marginMs).toBeLessThan(ttlMs / 3)
    expect(renewMs).toBeLessThanOrEqual(ttlMs / 4)
  }
})

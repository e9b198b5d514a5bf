import { afterEach, beforeEach, expect, it } from 'vitest'
import { startGuard } from '../../src/guard/client.ts'
import { createGroupTier } from '../../src/guard/group.ts'
import { isAtLeast, TIER_NAMES, type Tier } from '../../src/guard/tier.ts'
import { chooseTier, faultOf, requireTier, tryTiers } from '../../src/guard/try-tiers.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'

let scratch: Scratch

beforeEach(async () => {
  scratch = await createScratch()
})
afterEach(() => scratch.check())

const group = createGroupTier(null)

it('tries all of them, strongest first, and says what was seen', async () => {
  const tries = await tryTiers()
  expect(tries.map(({ tier }) => tier)).toEqual(TIER_NAMES)
  for (const { why } of tries) expect(why.length).toBeGreaterThan(10)
  expect(tries.at(-1)).toMatchObject({ tier: 'group', works: true })
})

it('chooses the first that works', async () => {
  const tries = await tryTiers()
  const best = tries.find(({ works }) => works)?.tier
  const choice = await chooseTier()
  expect(choice.tier.name).toBe(best)
  expect(choice.tries.at(-1)).toMatchObject({ tier: best, works: true })
})

it.each<[string, Partial<Tier>, RegExp]>([
  ['cannot be started', { wrap: () => ({ file: '/nonexistent/unshare', args: [] }) }, /ENOENT/],
  [
    'ends before it holds anything',
    { wrap: () => ({ file: '/bin/sh', args: ['-c', 'echo not permitted >&2; exit 1'] }) },
    /^not permitted$/,
  ],
  ['hangs', { wrap: () => ({ file: '/bin/sleep', args: ['600'] }) }, /ended at once|hangs/],
  [
    'finds no process that it could hold',
    {
      hold: () => {
        throw new Error('Process 1 has no child.')
      },
    },
    /has no child/,
  ],
  ['changes the exit code', { exitOf: () => ({ code: 0, signal: null }) }, /was said to end with 0/],
])('says no to a tier that %s, and leaves nothing of it', async (_, changes, reason) => {
  expect(await faultOf({ ...group, ...changes }, 500)).toMatch(reason)
})

it('says no to a tier that does not find what was left behind', async () => {
  const blind: Tier = {
    ...group,
    hold(pid, mark) {
      const { cli } = group.hold(pid, mark)
      return { cli, target: { tier: 'group', mark: 'of-nobody', session: null } }
    },
    // Without its own process left behind the test leaves nothing either.
    wrap: ({ file }) => group.wrap({ file, args: ['-c', 'exit 3'] }),
  }
  expect(await faultOf(blind)).toMatch(/left behind was not found/)
})

it('knows which tier is enough', () => {
  expect(isAtLeast('pid_namespace', 'cgroup')).toBe(true)
  expect(isAtLeast('group', 'group')).toBe(true)
  expect(isAtLeast('group', 'cgroup')).toBe(false)
  expect(isAtLeast('group', 'none')).toBe(true)
})

it('refuses a weaker tier with what was found, what is asked for and what to do', () => {
  const tries = [
    { tier: 'pid_namespace', works: false, why: 'unshare failed: Operation not permitted.' },
    { tier: 'cgroup', works: false, why: 'There is no cgroup v2 here.' },
    { tier: 'group', works: true, why: 'process group' },
  ] as const
  expect(() => requireTier('group', 'pid_namespace', tries)).toThrow(
    /asks for pid_namespace.*group at best.*Operation not permitted.*SYS_ADMIN.*lower guard.require_tier/,
  )
  expect(() => requireTier('group', 'cgroup', tries)).toThrow(/Delegate=yes/)
  expect(() => requireTier('group', 'none', tries)).not.toThrow()
})

it('keeps a guard from starting that is below what is required, and leaves none', async () => {
  const recordDir = `${scratch.dir}/guards`
  const refused = startGuard({ heartbeatMs: 100, tiers: ['group'], requireTier: 'cgroup', recordDir })
  await expect(refused).rejects.toMatchObject({
    code: 'spawn_failed',
    details: { tier: 'group', required_tier: 'cgroup' },
  })
})

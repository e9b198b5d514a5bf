/** Which tiers this host can do, found by trying each with a real process. */
import { randomBytes } from 'node:crypto'
import { DroverError, messageOf } from '../core/errors.ts'
import { createCgroupTier } from './cgroup.ts'
import { createGroupTier, findSetpriv } from './group.ts'
import { startHeld, type HeldProcess } from './held.ts'
import { pidNamespaceTiers } from './pid-namespace.ts'
import { letGo } from './reach.ts'
import { sweep } from './sweep.ts'
import { isAtLeast, TIER_NAMES, type Tier, type TierName } from './tier.ts'

/** One tier tried on this host. */
export interface TierTry {
  readonly tier: TierName
  readonly works: boolean
  /** What was seen: how it is done where it works, what stood in the way where not. */
  readonly why: string
}

/** The tier that a guard works with, and what was tried to find it. */
export interface TierChoice {
  readonly tier: Tier
  readonly tries: readonly TierTry[]
}

/** A try takes some 20 ms; one that takes so long hangs. All of them together stay below a guard's ready time. */
const TRY_LIMIT_MS = 3000
/** Leaves a process behind and ends in a way that nothing else does. */
const PROBE = 'sleep 60 & exit 3'
const PROBE_CODE = 3

const HOW_TO_GET: Readonly<Record<TierName, string>> = {
  pid_namespace:
    'For pid_namespace install util-linux (unshare, setpriv) or bubblewrap, and run as root or allow user ' +
    'namespaces (sysctl user.max_user_namespaces above 0, kernel.unprivileged_userns_clone=1, ' +
    'kernel.apparmor_restrict_unprivileged_userns=0); give a container the capability SYS_ADMIN and no AppArmor ' +
    'profile (compose: cap_add: [SYS_ADMIN], security_opt: ["apparmor:unconfined"]).',
  cgroup:
    'For cgroup use Linux 5.14 or newer with a cgroup v2 that Drover may write to (systemd: Delegate=yes; a ' +
    'container: a private cgroup namespace with /sys/fs/cgroup mounted for writing).',
  group: 'For group this host needs a /bin/sh.',
}

/** What an operator can do so that this host supports the tier. */
export const howToGet = (tier: TierName): string => HOW_TO_GET[tier]

/**
 * Tries every tier, strongest first, for `drover doctor`. Bounded in time: a try that hangs is a no. Never rejects,
 * and leaves nothing.
 */
export async function tryTiers(): Promise<readonly TierTry[]> {
  const tries: TierTry[] = []
  for (const name of TIER_NAMES) tries.push((await tryTier(name)).result)
  return tries
}

/** The first of the tiers that works here; the process group where none does. */
export async function chooseTier(names: readonly TierName[] = TIER_NAMES): Promise<TierChoice> {
  const tries: TierTry[] = []
  for (const name of names) {
    const { tier, result } = await tryTier(name)
    tries.push(result)
    if (tier !== null) return { tier, tries }
  }
  return { tier: createGroupTier(findSetpriv()), tries }
}

/** Throws `spawn_failed` when the tier is weaker than the required one. */
export function requireTier(tier: TierName, required: TierName | 'none', tries: readonly TierTry[]): void {
  if (isAtLeast(tier, required)) return
  const found = tries
    .filter(({ works }) => !works)
    .map((failed) => `${failed.tier} failed (${failed.why}).`)
    .join(' ')
  throw new DroverError(
    'spawn_failed',
    `guard.require_tier asks for ${required}, and this host can do ${tier} at best. ${found} ` +
      `${howToGet(required === 'none' ? tier : required)} Or lower guard.require_tier.`,
    { tier, required_tier: required },
  )
}

async function tryTier(name: TierName): Promise<{ readonly tier: Tier | null; readonly result: TierTry }> {
  let ways: readonly Tier[]
  try {
    ways = waysOf(name)
  } catch (error) {
    return { tier: null, result: { tier: name, works: false, why: messageOf(error) } }
  }
  const reasons =
    ways.length === 0 ? ['neither util-linux (unshare with setpriv) nor bwrap is installed'] : []
  for (const tier of ways) {
    const reason = await faultOf(tier)
    if (reason === null) return { tier, result: { tier: name, works: true, why: tier.how } }
    reasons.push(`${tier.how}: ${reason}`)
  }
  return { tier: null, result: { tier: name, works: false, why: reasons.join('; ') } }
}

function waysOf(name: TierName): readonly Tier[] {
  switch (name) {
    case 'pid_namespace':
      return pidNamespaceTiers()
    case 'cgroup':
      return [createCgroupTier(findSetpriv())]
    case 'group':
      return [createGroupTier(findSetpriv())]
  }
}

/** Why a tier does not work here; null when it does. Never rejects; what is still there at the limit is killed. */
export async function faultOf(tier: Tier, limitMs = TRY_LIMIT_MS): Promise<string | null> {
  let held: HeldProcess | null = null
  const limit = new AbortController()
  const late = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => {
      reject(new Error('it hangs'))
      held?.abandon()
    }, limitMs)
    limit.signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  })
  const run = async (): Promise<string | null> => {
    held = await startHeld(tier, probe(), limitMs)
    held.release()
    const { code, signal, left } = await held.exit
    const killed = new Set<string>()
    await sweep(held.target, killed)
    letGo(held.target)
    if (code !== PROBE_CODE)
      return `a program that ended with ${PROBE_CODE} was said to end with ${signal ?? code}`
    if (killed.size + left === 0) return 'a process that was left behind was not found'
    return null
  }
  try {
    return await Promise.race([run(), late])
  } catch (error) {
    // The sentence for an agent's start has the reason within.
    return messageOf(error instanceof Error && error.cause instanceof Error ? error.cause : error)
  } finally {
    limit.abort()
  }
}

const probe = () => ({
  file: '/bin/sh',
  args: ['-c', PROBE],
  cwd: '/',
  env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
  mark: `try.${randomBytes(8).toString('hex')}`,
  stdout: 'ignore' as const,
  stderr: 'pipe' as const,
})

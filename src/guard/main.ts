/**
 * The guard's entry point: `node main.js <heartbeat in ms> [tiers to try, with commas]`, commands on standard input,
 * reports on standard output. Started by `client.ts` alone.
 */
import { systemClock } from '../core/clock.ts'
import { runGuard } from './guard.ts'
import { TIER_NAMES } from './tier.ts'
import { chooseTier } from './try-tiers.ts'

// A stop of the whole service signals every process of it at once. The guard outlives that for as long as its
// worker drains, and ends when the worker's end of the pipe closes.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined)

const wanted = process.argv[3]?.split(',') ?? TIER_NAMES

await runGuard({
  commands: process.stdin,
  reports: process.stdout,
  heartbeatMs: Number(process.argv[2]),
  choice: await chooseTier(TIER_NAMES.filter((name) => wanted.includes(name))),
  clock: systemClock,
})
process.stdin.destroy()

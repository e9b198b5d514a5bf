/** Random work: what an agent does, and how its session may end. */
import type { Random } from '../fault/rig/random.ts'
import type { DaemonKind, FakeScript } from '../support/fake-claude.ts'

export interface Work {
  /** Its name in the figures. */
  readonly kind: string
  readonly script: FakeScript
  /** How its session may end without any fault. Faults may use up the tries of one that would complete. */
  readonly ends: readonly ('completed' | 'failed')[]
  /** It stops itself, so it is rightly called stalled. */
  readonly stalls: boolean
}

const HEALTHY_SHARE = 0.8
const DAEMONS: readonly DaemonKind[] = [
  'plain',
  'setsid',
  'double_fork',
  'env_clean',
  'env_clean_double_fork',
]
/** Lines that are no message of the CLI's. */
const GARBAGE = [
  'not JSON',
  '[1, 2]',
  '{"type":"from_the_future","__proto__":{"a":1}}',
  '{"no_type":1}',
  '"',
  '\u001b]0;x',
]

/** Four fifths are healthy. `name` is unique: the files that the agent leaves are called by it. */
export function randomWork(random: Random, name: string): Work {
  const make = random.next() < HEALTHY_SHARE ? random.pick(HEALTHY) : random.pick(HOSTILE)
  const { kind, script, ends = ['completed'], stalls = false } = make(random, name)
  return { kind, script, ends, stalls }
}

type Made = Pick<Work, 'kind' | 'script'> & Partial<Work>
type Maker = (random: Random, name: string) => Made

/** Small values as likely as large ones, by order of magnitude. */
export function logUniform(random: Random, from: number, to: number): number {
  return from * (to / from) ** random.next()
}

const talk = (random: Random): FakeScript => ({
  lines: random.integer(1, 30),
  delay_ms: Math.round(logUniform(random, 5, 100)),
  cost_usd: random.integer(1, 5000) / 1_000_000,
})

const HEALTHY: readonly Maker[] = [
  (random) => ({ kind: 'talk', script: talk(random) }),
  (random) => ({ kind: 'think', script: { ...talk(random), silence_ms: random.integer(100, 4000) } }),
  (random) => ({ kind: 'quick', script: { lines: random.integer(1, 3) } }),
]

const HOSTILE: readonly Maker[] = [
  (random) => ({ kind: 'crash-once', script: { ...talk(random), crash_on_attempts: [1] } }),
  (random) => ({
    kind: 'crash-twice',
    script: {
      ...talk(random),
      crash_on_attempts: [1, 2],
      crash_signal: 'SIGSEGV',
      stderr_text: 'its last words',
    },
  }),
  () => ({
    kind: 'crash-always',
    script: { lines: 2, crash_on_attempts: [1, 2, 3, 4, 5, 6], crash_signal: null, exit_code: 3 },
    ends: ['failed'],
  }),
  (random) => ({ kind: 'no-result', script: { ...talk(random), result: 'none' }, ends: ['failed'] }),
  () => ({ kind: 'error', script: { lines: 2, result: 'error', api_error_status: 400 }, ends: ['failed'] }),
  () => ({
    kind: 'frozen',
    script: { lines: 1, stop_self: true },
    // SIGTERM wakes it up; it may well finish within the grace, and then its result stands.
    ends: ['completed', 'failed'],
    stalls: true,
  }),
  (random, name) => ({
    kind: 'daemons',
    script: {
      ...talk(random),
      daemons: DAEMONS.filter(() => random.next() < 0.5),
      daemon_dir: `daemons/${name}`,
      hold_stdout: random.next() < 0.5,
      ...(random.next() < 0.3 ? { crash_on_attempts: [1] } : {}),
    },
  }),
  (random) => ({
    kind: 'deaf',
    script: { ...talk(random), ignore_term: true, hang_after_result: random.next() < 0.5, silence_ms: 1500 },
  }),
  (random) => ({ kind: 'hang', script: { ...talk(random), hang_after_result: true } }),
  (random) => ({
    kind: 'huge-lines',
    script: { ...talk(random), huge_line_bytes: Math.round(logUniform(random, 100_000, 3_000_000)) },
  }),
  (random) => ({ kind: 'garbage', script: { ...talk(random), raw_lines: GARBAGE, invalid_utf8: true } }),
  (random) => ({
    kind: 'half-line',
    script: { ...talk(random), half_line: true, crash_on_attempts: [1, 2, 3, 4] },
    ends: ['failed'],
  }),
  (random) => ({ kind: 'slow-start', script: { ...talk(random), delay_init_ms: random.integer(200, 2000) } }),
]

/**
 * How fast what the agents of a pod print goes to the stream: as fast as it comes, until so much waits there for a
 * recorder that Redis' memory is at stake. From then on (`recorder.stream_high_water` entries) each agent's output
 * goes on slowly, and from half of it on at full speed again.
 *
 * Slowly, and not at all would be wrong: by its lines a pod knows that an agent has started, moves and is done, so a
 * session that prints little must not notice, and each must come to its end while nobody records. So it is a rate,
 * and the rate falls with the square of how far the mark is passed: what keeps printing cannot fill Redis either.
 *
 *     at the mark    100 lines a second of each agent, or 256 kB        twice the mark    25 lines, 64 kB
 *
 * The rest waits in the spool, a file on the pod's disk: the agent is never held up, and no line is dropped. State
 * changes and beats are not slowed, resends after a loss of Redis neither: they need the recorder, so it is there.
 * Every answer to a batch says how much waits (`session-script.ts`), so this asks nothing of Redis while lines flow;
 * nothing here is kept: a pod that dies reads its spools again and learns it from the first answer.
 */
import { sleep, systemClock } from '../core/clock.ts'
import { spoolSize } from '../guard/spool-size.ts'
import type { SpoolLine } from '../session/line.ts'
import type { Logger } from '../telemetry/logger.ts'

/** At the mark, of each agent. */
const LINES_PER_S = 100
const BYTES_PER_S = 256 * 1024
/** Lines of one call while it is slow, so that each answer is news. */
const SLOW_LINES = 50
/** Whatever was printed is sent a little at a time at least. */
const LONGEST_PAUSE_MS = 5000
const LOW_SHARE = 0.5
const SAY_EVERY_MS = 10_000

/** A spool that is being sent. */
interface TrackedSpool {
  readonly path: string
  /** Of the file, taken by Redis. */
  readonly sentBytes: () => number
}

export interface Flow {
  /** What Redis said: so many entries of the stream are not recorded. */
  note(unrecorded: number): void
  readonly isSlowed: boolean
  /** The part of these lines that is to be sent now; not empty where they are not. */
  portion(lines: readonly SpoolLine[]): readonly SpoolLine[]
  /** Resolves when the next portion may be sent: at once at full speed. */
  pause(sent: readonly SpoolLine[]): Promise<void>
  /** Counts the spool in `unsentBytes`. Answers what ends that. */
  track(spool: TrackedSpool): () => void
  /** What the agents have printed and Redis has not taken. */
  unsentBytes(): number
  /** From now on at full speed: the pod stops, and what its agents printed is sent in any case. */
  lift(): void
}

export function createFlow(highWater: number, log: Pick<Logger, 'warn' | 'info'>): Flow {
  const tracked = new Set<TrackedSpool>()
  let unrecorded = 0
  let isSlowed = false
  /** Ends the pauses of now. */
  let faster = new AbortController()

  let isLifted = false
  let saidAt = Number.NEGATIVE_INFINITY
  let isSaid = false
  const isSlow = (): boolean => isSlowed && !isLifted

  /** While a recorder catches up it may be slow and fast by turns. */
  function saySlow(): void {
    const now = systemClock.monotonic()
    if (now - saidAt < SAY_EVERY_MS) return
    saidAt = now
    isSaid = true
    log.warn(
      { unrecorded, high_water: highWater },
      'Nobody records, or not fast enough: what agents print is sent slowly and waits in their spools. ' +
        'Is a `drover board` running for this namespace? Its /readyz says what is wrong.',
    )
  }

  return {
    note(count) {
      unrecorded = count
      const slow = count >= highWater * (isSlowed ? LOW_SHARE : 1)
      if (slow === isSlowed) return
      isSlowed = slow
      if (slow) return saySlow()
      if (isSaid) log.info({ unrecorded }, 'what agents print is sent at full speed again')
      isSaid = false
      faster.abort()
      faster = new AbortController()
    },
    get isSlowed() {
      return isSlow()
    },
    portion: (lines) => (isSlow() ? lines.slice(0, SLOW_LINES) : lines),
    async pause(sent) {
      if (!isSlow()) return
      const bytes = sent.reduce((sum, line) => sum + line.bytes, 0)
      const seconds = Math.max(sent.length / LINES_PER_S, bytes / BYTES_PER_S)
      const passed = Math.max(1, unrecorded / highWater)
      await sleep(Math.min(seconds * 1000 * passed ** 2, LONGEST_PAUSE_MS), faster.signal)
    },
    track(spool) {
      tracked.add(spool)
      return () => void tracked.delete(spool)
    },
    unsentBytes() {
      let sum = 0
      for (const { path, sentBytes } of tracked) sum += Math.max(0, spoolSize(path) - sentBytes())
      return sum
    },
    lift() {
      isLifted = true
      faster.abort()
    },
  }
}

/** The flow that holds nothing back, for whoever is no pod. */
export const FULL_SPEED = createFlow(Number.POSITIVE_INFINITY, { warn: () => {}, info: () => {} })

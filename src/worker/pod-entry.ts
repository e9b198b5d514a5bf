/**
 * What a pod says of itself in the registry, once per beat and at each change. It is gone three beats after the pod
 * is, and at once after an orderly stop.
 *
 * The beat also tells the pod whether Redis answers: a connection that is cut without a word stays "ready".
 */
import type { Clock } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import { newId } from '../core/ids.ts'
import type { PodDirectory, PodFields } from '../queue/pods.ts'
import type { Readiness } from './readiness.ts'
import type { Free } from './room.ts'

/** The entry goes when so many beats were missed. */
const BEATS = 3
/** Beats without an answer after which Redis counts as away. */
const SILENT_BEATS = 2
/** A stop does not wait longer for a Redis that is away; the entry goes by itself then. */
const REMOVE_MS = 1000

export interface PodEntryOptions {
  readonly pods: PodDirectory
  readonly podId: string
  readonly beatMs: number
  readonly clock: Clock
  /** What does not change: host, pid, version, types … */
  readonly fixed: PodFields
  readonly readiness: () => Readiness
  readonly running: () => number
  readonly free: () => Free | null
  readonly onError: (error: unknown) => void
}

export interface PodEntry {
  /** Fields that stay from now on, such as the tier; written with the next beat, which is now. */
  note(fields: PodFields): void
  /** Something changed: it is written now. */
  changed(): void
  /** Why Redis does not take the beat; null while it does. */
  problem(): string | null
  /** Takes the entry out. */
  stop(): Promise<void>
}

/** Writes the entry now and from then on. */
export function keepPodEntry(options: PodEntryOptions): PodEntry {
  const { pods, podId, beatMs, clock, readiness, running, onError } = options
  const instance = newId()
  const fixed: PodFields = { ...options.fixed, started_at: clock.now().toISOString() }
  let noted: PodFields = {}
  let problem: string | null = null
  let answeredAt = clock.monotonic()
  let writing: Promise<void> | null = null
  let isStale = false
  let stopped = false
  const timer = setInterval(beat, beatMs)

  /** One write at a time: while Redis is away the next ones would only queue up. */
  function beat(): void {
    if (stopped) return
    if (writing !== null) {
      isStale = true
      return
    }
    isStale = false
    writing = write()
      .then(
        () => {
          problem = null
          answeredAt = clock.monotonic()
        },
        (error: unknown) => {
          problem = `Redis refuses what it is sent: ${messageOf(error)}`
          onError(error)
        },
      )
      .finally(() => {
        writing = null
        if (isStale && problem === null) beat()
      })
  }

  async function write(): Promise<void> {
    const { state, why } = readiness()
    const free = options.free()
    const fields = {
      ...fixed,
      ...noted,
      state,
      why: why ?? '',
      running: running(),
      free_cpu_percent: free === null ? '' : Math.round(free.cpuPercent),
      free_memory_mb: free === null ? '' : Math.round(free.memoryMb),
    }
    await pods.write(podId, instance, fields, beatMs * BEATS)
  }

  beat()
  return {
    note(fields) {
      noted = { ...noted, ...fields }
      beat()
    },
    changed: beat,
    problem() {
      const silentMs = clock.monotonic() - answeredAt
      if (problem === null && silentMs > beatMs * SILENT_BEATS) {
        return `Redis has not answered for ${Math.round(silentMs / 1000)} s.`
      }
      return problem
    },
    async stop() {
      stopped = true
      clearInterval(timer)
      const removed = (writing ?? Promise.resolve()).then(() => pods.remove(podId, instance)).catch(onError)
      let timeout: NodeJS.Timeout | undefined
      const patience = new Promise<void>((resolve) => {
        timeout = setTimeout(resolve, REMOVE_MS)
      })
      await Promise.race([removed, patience])
      clearTimeout(timeout)
    },
  }
}

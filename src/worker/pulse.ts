/**
 * The pulse of a claimed session: renews the job's lock, and from the lease on also the lease, the beat and the
 * guard's deadline.
 *
 *     attempt starts at t0 ─▶ Redis renews for ttl ─▶ the guard's deadline becomes t0 + ttl − margin
 *
 * Each watches the other. The guard kills at the deadline, whatever became of the worker or of Redis; the worker
 * renews only when the guard has acknowledged the last deadline, so that a frozen guard loses the lease in time. Of an
 * agent whose process is gone there is no deadline.
 * When a renewal is late or refused nothing needs to be sent: the old deadline stands.
 */
import type { Clock } from '../core/clock.ts'
import type { GuardedAgent } from '../guard/client.ts'
import type { Lease, LeaseTimes } from '../queue/lease.ts'
import type { CancelRequest, Requests, RestartRequest, Said } from '../queue/session-record.ts'
import type { SessionRequests } from '../queue/session-requests.ts'
import type { SessionRef, SessionStore } from '../queue/session-store.ts'

export interface PulseParts {
  readonly store: SessionStore
  readonly requests: Pick<SessionRequests, 'read'>
  readonly times: LeaseTimes
  readonly clock: Clock
  readonly session: SessionRef
  /** Extends the BullMQ job's lock; a lost one changes nothing but where the job is shown. */
  readonly extendJobLock: () => Promise<void>
  /** The session is to end. Called again at every beat until it has. */
  readonly onCancel: (cancel: CancelRequest) => void
  /** The agent that is watched is to be followed by another one. Called again at every beat until it is. */
  readonly onRestart: (restart: RestartRequest) => void
  /** The session has ended, and not by this pod: a kill while it waited. */
  readonly onEnded: () => void
  /** The lease is gone: the agent must end, and the guard sees to it. */
  readonly onLeaseLost: () => void
  readonly onError: (error: unknown) => void
}

export interface Pulse {
  /** From now on the lease is renewed too. */
  holdLease(lease: Lease): void
  /** From now on the deadline of this agent is extended, what `beat` says of it is written, and it hears what is said. */
  watch(agent: WatchedAgent, epoch: string, beat: () => Beat, hear: (said: Said) => void): void
  /** The agent is gone. */
  unwatch(): void
  /** Reads at once what is asked of the session: somebody rang. */
  look(): void
  /** Until when the lease may be trusted, in monotonic milliseconds; 0 without one. */
  trustedUntil(): number
  /** Stops; resolves when the last renewal is over. */
  stop(): Promise<void>
}

type WatchedAgent = Pick<GuardedAgent, 'acknowledged' | 'extend' | 'kill' | 'exited'>
/** Fields for the session's hash. */
type Beat = Readonly<Record<string, string | number>>

interface Watched {
  readonly agent: WatchedAgent
  readonly epoch: string
  readonly beat: () => Beat
  readonly hear: (said: Said) => void
  /** The last deadline that was sent. */
  sent: number
  /**
   * Its process, and so a deadline. Without one it still holds its lease: what it printed is on its way to the stream, for
   * minutes where nobody records.
   */
  isThere: boolean
}

export function createPulse(parts: PulseParts): Pulse {
  const { store, times, clock, session } = parts
  let lease: Lease | null = null
  let trusted = 0
  let watched: Watched | null = null
  let lost = false
  let running: Promise<void> | null = null
  const timer = setInterval(tick, times.renewMs)

  function tick(): void {
    // An attempt that hangs (Redis is away) is not overtaken by a second one.
    running ??= renew()
      .catch(parts.onError)
      .finally(() => {
        running = null
      })
  }

  async function renew(): Promise<void> {
    await parts.extendJobLock().catch(parts.onError)
    if (lease === null || lost) return await readRequests()
    const current = watched
    if (current?.isThere === true && current.agent.acknowledged < current.sent) {
      parts.onError(
        new Error(`the guard has not acknowledged the last deadline of session ${session.sessionId}`),
      )
      return
    }
    const attemptStart = clock.monotonic()
    const renewed = await store.renew(
      { ...session, epoch: current?.epoch ?? '' },
      { leaseKey: lease.key, token: lease.token, ttlMs: times.ttlMs, beat: current?.beat() ?? {} },
    )
    if (!renewed.ok) {
      if (renewed.refused === 'lease') lose()
      if (renewed.refused === 'ended') parts.onEnded()
      return
    }
    trusted = attemptStart + times.ttlMs - times.marginMs
    if (current?.isThere === true && current === watched) {
      current.sent = trusted
      void current.agent.extend(trusted)
    }
    obey(renewed)
  }

  async function readRequests(): Promise<void> {
    const requests = await parts.requests.read(session.sessionId)
    if (requests.ended) parts.onEnded()
    else obey(requests)
  }

  function obey({ cancel, restart, said }: Pick<Requests, 'cancel' | 'restart' | 'said'>): void {
    watched?.hear(said)
    if (cancel !== null) {
      parts.onCancel(cancel)
      // Also after a graceful one whose grace is not over yet.
      if (cancel.force) watched?.agent.kill(0)
    } else if (restart !== null && restart.epoch === watched?.epoch) {
      parts.onRestart(restart)
    }
  }

  function look(): void {
    readRequests().catch(parts.onError)
  }

  function lose(): void {
    lost = true
    parts.onLeaseLost()
  }

  return {
    holdLease(held) {
      lease = held
      trusted = held.trustedUntil
      lost = false
    },
    watch(agent, epoch, beat, hear) {
      const begun: Watched = { agent, epoch, beat, hear, sent: 0, isThere: true }
      watched = begun
      void agent.exited.then(() => (begun.isThere = false))
      // What was asked of this agent before it had a process.
      look()
    },
    unwatch() {
      watched = null
    },
    look,
    trustedUntil: () => (lost ? 0 : trusted),
    async stop() {
      clearInterval(timer)
      lease = null
      await running
    },
  }
}

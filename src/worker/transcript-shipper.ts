/**
 * Keeps a copy of a running agent's conversation in Redis, so that any pod that has the workspace can go on with it:
 * every few seconds when it has grown, and once more when the process is gone.
 *
 * One copy at a time, and none while nothing has changed. A copy that fails is tried again with the next look and
 * ends nothing: what is lost by it is at most the last few seconds, on another pod.
 */
import { sleep, type Clock } from '../core/clock.ts'
import { DroverError, messageOf } from '../core/errors.ts'
import type { AgentHealth } from '../core/events.ts'
import type { AgentRef, SessionRecord } from '../queue/session-store.ts'
import type { Transcripts } from '../queue/transcripts.ts'
import type { Transcript } from '../session/transcript.ts'
import type { SessionParts } from './claimed-session.ts'

/** Copying a long conversation takes at most one part in so many of the time. */
const REST = 20
/** Until the first copy is made. */
const FIRST_LOOK_MS = 500

export interface ShipperParts {
  readonly transcript: Transcript
  readonly transcripts: Transcripts
  readonly podId: string
  readonly intervalMs: number
  readonly clock: Clock
  /** What `onPinned` was last told for this session, by an earlier agent. */
  readonly wasPinned: boolean
  /** Resolves when Redis has back what it lost of the agent; at once mostly. */
  readonly settled: (agent: AgentRef) => Promise<unknown>
  /** The conversation cannot travel any more (`true`), or can again. Told once per change. */
  readonly onPinned: (agent: AgentRef, pinned: boolean) => Promise<void>
  readonly onError: (error: unknown) => void
}

export interface Shipper {
  /** The agent is about to be started. */
  start(agent: AgentRef): void
  /** Its process is gone: copies the rest. Never throws; at once where nothing was started. */
  finish(): Promise<void>
}

export function createShipper(parts: ShipperParts): Shipper {
  const { transcript, transcripts, podId, clock, onError } = parts
  const stopped = new AbortController()
  let agent: AgentRef | null = null
  let looking: Promise<void> = Promise.resolve()
  /** What the files were when they were last copied, and the copy that was made of them. */
  let copied: { readonly stamp: string; readonly version: string } | null = null
  let pinned = false
  let told = parts.wasPinned
  /** The session has another agent: nothing of this one is taken any more. */
  let superseded = false
  /** The last copy found no such agent: Redis has lost it. */
  let isMissing = false

  async function look(of: AgentRef): Promise<void> {
    // The first copy soon: until there is one, a machine that is lost takes the whole conversation with it.
    let restMs = Math.min(parts.intervalMs, FIRST_LOOK_MS)
    for (;;) {
      await sleep(restMs, stopped.signal)
      if (stopped.signal.aborted || superseded) return
      const began = clock.monotonic()
      // A conversation that is too large only grows.
      if (!pinned) await copyIfChanged(of)
      const pause = copied === null ? Math.min(parts.intervalMs, FIRST_LOOK_MS) : parts.intervalMs
      restMs = Math.max(pause, REST * (clock.monotonic() - began))
    }
  }

  async function copyIfChanged(of: AgentRef): Promise<void> {
    try {
      const stamp = await transcript.stamp()
      if (stamp !== null && stamp !== copied?.stamp) await copy(of, stamp)
    } catch (error) {
      onError(failed(of, error))
    }
  }

  async function copy(of: AgentRef, stamp: string): Promise<void> {
    const packed = await transcript.pack()
    if (packed === null) return
    const put = await transcripts.put(of, { podId, ...packed })
    isMissing = !put.ok && put.refused === 'missing'
    if (!put.ok) {
      superseded = put.refused === 'stale'
      return
    }
    copied = { stamp, version: put.version }
    pinned = packed.archive === null
    if (told === pinned) return
    await parts.onPinned(of, pinned)
    told = pinned
  }

  /** Redis may have lost the copy since. */
  async function forgetLostCopy(of: AgentRef): Promise<void> {
    const head = await transcripts.head(of.sessionId)
    if (head?.version !== copied?.version) copied = null
  }

  return {
    start(started) {
      agent = started
      looking = look(started)
    },
    async finish() {
      stopped.abort()
      await looking
      if (agent === null || superseded) return
      await forgetLostCopy(agent).catch(onError)
      await copyIfChanged(agent)
      if (!isMissing) return
      await parts.settled(agent).catch(onError)
      await copyIfChanged(agent)
    },
  }
}

/** The shipper of a session's next agent; what cannot travel is noted in the session's hash and on the stream. */
export function shipperOf(parts: SessionParts, record: SessionRecord, transcript: Transcript): Shipper {
  const { store, transcripts, config, clock, onError } = parts
  return createShipper({
    transcript,
    transcripts,
    podId: config.podId,
    intervalMs: config.session.transcriptIntervalMs,
    clock,
    wasPinned: record.pinnedPod !== null,
    // A change waits until then, also one that changes nothing.
    settled: (agent) => store.change(agent, { events: [] }),
    async onPinned(agent, pinned) {
      const health: AgentHealth = {
        health_status: 'healthy',
        cpu_percent: null,
        memory_mb: null,
        message: pinned
          ? `The conversation has grown too large to travel: only pod ${config.podId} can go on with this session.`
          : 'The conversation can travel again: any pod with the workspace can go on with this session.',
      }
      await store.change(agent, {
        set: { pinned_pod: pinned ? config.podId : '' },
        events: [{ type: 'drover.agent.health', payload: health }],
      })
    },
    onError,
  })
}

function failed({ sessionId }: AgentRef, error: unknown): DroverError {
  return new DroverError(
    'internal_error',
    `The conversation of session ${sessionId} could not be copied to Redis (${messageOf(error)}). ` +
      'The session goes on; another pod would miss its latest part.',
    {},
    { cause: error },
  )
}

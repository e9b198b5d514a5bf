/**
 * Waiting for a session over HTTP, by its id: it follows the session's events, so neither a lost connection nor a
 * board that is started again ends the wait, and no request is open for hours.
 */
import type { AcceptedAnswer, CompletedAnswer, StartedAnswer } from '../core/answer.ts'
import { sleep } from '../core/clock.ts'
import { parseEvent, splitEvent, type Envelope } from '../core/envelope.ts'
import { DroverError, isDroverError } from '../core/errors.ts'
import type { SessionView } from '../core/session-view.ts'
import { refuseFailedStart, startedAnswerOf } from '../core/started-answer.ts'
import { followEvents } from './event-stream.ts'
import { request, type Board } from './http-request.ts'
import { createPatience } from './patience.ts'

/** `GET /api/v1/sessions/:id`, as far as it is needed here. */
interface SessionState {
  readonly session: SessionView
  readonly answer: CompletedAnswer | null
}

/** What a wait needs of a session that was accepted. */
export type Waited = Pick<AcceptedAnswer, 'session_id' | 'timeout_seconds'>

/** How a session is waited for. */
export interface WaitOptions {
  /** Ends the wait, never the session: the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** How long the board may be away. @default 60000 */
  readonly patienceMs?: number | undefined
  /** The session whose agent waits: refused where it would wait for itself. */
  readonly waiter?: string | undefined
  /** Told each event on the way, from the session's first. */
  readonly onEvent?: ((event: Envelope) => void) | undefined
}

/** The ledger is some milliseconds behind the live events. */
const LOOK_AGAIN_MS = 50

/**
 * Resolves when an agent of the session runs (or it has ended), or when it has ended. A session that ran and failed
 * is an answer with `success: false`.
 *
 * @throws DroverError `spawn_failed`, `startup_timeout` for `started`, when no agent came up; `self_deadlock`;
 *   `board_unavailable`; `forbidden` for a token that may ask and not look. All of them name the session, which goes on
 *   where only the wait has failed
 */
export async function waitForSession(
  board: Board,
  accepted: Waited,
  wait: 'started' | 'completed',
  options: WaitOptions = {},
): Promise<StartedAnswer | CompletedAnswer> {
  try {
    return await waited(board, accepted, wait, options)
  } catch (error) {
    if (!isDroverError(error)) throw error
    const details = { session_id: accepted.session_id, ...error.details }
    throw new DroverError(error.code, error.message, details, { cause: error })
  }
}

async function waited(
  board: Board,
  accepted: Waited,
  wait: 'started' | 'completed',
  { signal, patienceMs, waiter, onEvent }: WaitOptions,
): Promise<StartedAnswer | CompletedAnswer> {
  const id = accepted.session_id
  let stderr = ''
  const headers = waiter === undefined ? {} : { 'drover-session': waiter, 'drover-wait': wait }
  for await (const text of followEvents(board, id, { signal, patienceMs, headers, boardIsThere: true })) {
    const { type } = splitEvent(text).header
    if (onEvent === undefined && !type.startsWith('drover.')) continue
    const event = parseEvent(text)
    onEvent?.(event)
    if (type === 'drover.agent.exited') stderr = stderrOf(event.payload)
    if (type === 'drover.session.ended' || (wait === 'started' && type === 'drover.agent.started')) break
  }
  const patience = createPatience(patienceMs)
  for (;;) {
    signal?.throwIfAborted()
    try {
      const state = await request<SessionState>(board, {
        method: 'GET',
        path: `/api/v1/sessions/${encodeURIComponent(id)}`,
        signal,
      })
      patience.answered()
      const answer = answerOf(state, accepted, wait, stderr)
      if (answer !== null) return answer
      await sleep(LOOK_AGAIN_MS, signal)
    } catch (error) {
      await patience.lost(error, signal)
    }
  }
}

function answerOf(
  { session, answer }: SessionState,
  accepted: Waited,
  wait: 'started' | 'completed',
  stderr: string,
): StartedAnswer | CompletedAnswer | null {
  if (answer === null) return wait === 'started' ? startedAnswerOf(session, accepted.timeout_seconds) : null
  if (wait === 'started') refuseFailedStart(session, () => stderr)
  return answer
}

function stderrOf(payload: unknown): string {
  if (typeof payload !== 'object' || payload === null || !('stderr_tail' in payload)) return ''
  return typeof payload.stderr_tail === 'string' ? payload.stderr_tail : ''
}

/** Asking for a session and waiting for it, with a line that says how far it is. */
import type { SpawnAnswer } from '../../core/answer.ts'
import type { Envelope } from '../../core/envelope.ts'
import { sleep } from '../../core/clock.ts'
import { EXIT, isDroverError } from '../../core/errors.ts'
import { queuedText, stateAfter } from '../../core/session-steps.ts'
import type { HttpClient, SpawnCall, SpawnDocument } from '../../producer/http-client.ts'
import type { CliContext } from '../program.ts'
import { exitCodeOf } from '../signals.ts'

/** One that is taken at once has left its queue by then. */
const SAY_WHY_MS = 1000

/**
 * First the session is accepted, then it is waited for by its id.
 *
 * @returns null when a signal ended the wait: that is said, and the exit code is set
 */
export async function awaitSession(
  context: CliContext,
  client: HttpClient,
  body: SpawnDocument,
  asking: Pick<SpawnCall, 'idempotencyKey' | 'createdBy'>,
): Promise<SpawnAnswer | null> {
  const { output, takeSignals, setExitCode } = context
  const accepted = await client.accept(body, asking)
  const { wait = 'accepted' } = body
  if (wait === 'accepted') return accepted

  const signal = takeSignals()
  const id = accepted.session_id
  const show = (event: Envelope): void => {
    const state = stateAfter(event)
    if (state !== null) output.status(`${id} ${state}`)
  }
  output.status(`${id} ${queuedText(accepted)}`)
  const over = new AbortController()
  void sayWhyItWaits(context, client, id, AbortSignal.any([signal, over.signal]))
  try {
    return await client.wait(accepted, wait, { signal, onEvent: output.isInteractive ? show : undefined })
  } catch (error) {
    if (signal.aborted || isOfTheWait(error))
      output.note(`Stopped waiting; the session goes on: drover watch ${id}`)
    if (!signal.aborted) throw error
    setExitCode(exitCodeOf(signal))
    return null
  } finally {
    over.abort()
    output.status('')
  }
}

/** Where it is still queued after a moment and no pod takes it: whoever waits would wait in the dark. Said once. */
async function sayWhyItWaits(
  { output }: CliContext,
  client: HttpClient,
  sessionId: string,
  over: AbortSignal,
): Promise<void> {
  await sleep(SAY_WHY_MS, over)
  try {
    if (over.aborted) return
    const { session } = await client.session(sessionId)
    if (session.status !== 'queued' || session.waiting_for.length > 0) return
    const [{ whyQueued }, { pods }] = await Promise.all([import('../show-pods.ts'), client.pods()])
    if (!over.aborted) for (const line of whyQueued(pods, session.agent_type)) output.note(line)
  } catch {
    // The wait itself says what is wrong with the board, or with the token.
  }
}

/** The board is away, or the token may ask for a session and not look at it. */
function isOfTheWait(error: unknown): boolean {
  if (!isDroverError(error)) return false
  return error.exitCode === EXIT.unreachable || error.code === 'forbidden' || error.code === 'unauthorized'
}

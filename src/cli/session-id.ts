/** Session ids as people type them: the beginning is enough where it is that of one session alone. */
import { DroverError, isDroverError } from '../core/errors.ts'
import { AGENT_TYPE_PATTERN, isSessionId } from '../core/ids.ts'
import type { SessionView } from '../core/session-view.ts'
import type { HttpClient } from '../producer/http-client.ts'

/** Fewer characters are a slip sooner than a name. */
const SHORTEST = 4
/** Makes a whole id of a beginning: is what comes of it one? */
const ANY_ID = '00000000-0000-4000-8000-000000000000'
/** So many are named where the beginning is that of several. */
const NAMED = 5

/**
 * The session's id in whole; whatever does not look like the beginning of one is answered as it is. So is the name of an
 * agent type: nobody means by `drover kill feed` a session of another type whose id begins so.
 *
 * @throws DroverError `session_not_found`; `invalid_request` with `candidates` where several begin so
 */
export async function typedSession(client: HttpClient, typed: string): Promise<string> {
  if (!looksLikeBeginning(typed) || (await isType(client, typed))) return typed
  const found = await sessionsFrom(client, typed)
  const [only] = found
  if (only === undefined) {
    throw new DroverError(
      'session_not_found',
      `No session's id begins with "${typed}". "drover sessions list" shows them.`,
      { session_id: typed },
    )
  }
  if (found.length > 1) throw ambiguous(typed, found)
  return only.session_id
}

/** The same where a task may be meant, whose id comes first. */
export async function typedSessionOrTask(client: HttpClient, typed: string): Promise<string> {
  if (!looksLikeBeginning(typed)) return typed
  try {
    return (await client.task(typed)).task.task_id
  } catch (error) {
    if (!isDroverError(error) || error.code !== 'task_not_found') throw error
    return await typedSession(client, typed)
  }
}

/** Options that name sessions. */
interface SessionOptions {
  readonly sessionId?: string | undefined
  readonly createdBy?: string | undefined
  readonly fromSession?: string | undefined
  readonly toSession?: string | undefined
}

const NAMES = ['sessionId', 'createdBy', 'fromSession', 'toSession'] as const

/** The options with their session ids in whole. */
export async function typedSessions<Options extends SessionOptions>(
  client: HttpClient,
  options: Options,
): Promise<Options> {
  const resolved: Record<string, string> = {}
  for (const name of NAMES) {
    const typed = options[name]
    if (typed !== undefined) resolved[name] = await typedSession(client, typed)
  }
  return { ...options, ...resolved }
}

async function isType(client: HttpClient, typed: string): Promise<boolean> {
  if (!AGENT_TYPE_PATTERN.test(typed)) return false
  const { agent_types: types } = await client.agentTypes()
  return types.some(({ name }) => name === typed)
}

/** Of an id of the same shape: an agent may be called `db-20261130-001`, and a task `ABCD-1`. */
function looksLikeBeginning(typed: string): boolean {
  if (typed.length < SHORTEST || typed.length >= ANY_ID.length) return false
  return isSessionId(typed.toLowerCase() + ANY_ID.slice(typed.length))
}

async function sessionsFrom(client: HttpClient, prefix: string): Promise<readonly SessionView[]> {
  return (await client.sessions({ id_prefix: prefix, limit: NAMED + 1 })).sessions
}

function ambiguous(typed: string, found: readonly SessionView[]): DroverError {
  const named = found
    .slice(0, NAMED)
    .map(({ session_id, agent_type, status }) => `${session_id} (${agent_type}, ${status})`)
  const others = found.length > NAMED ? ' and others' : ''
  return new DroverError(
    'invalid_request',
    `"${typed}" is the beginning of more than one session's id: ${named.join(', ')}${others}. Type more of it.`,
    { candidates: found.slice(0, NAMED).map(({ session_id }) => session_id) },
  )
}

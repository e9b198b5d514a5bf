/** `/api/v1/sessions`: asking for sessions, lists and single ones. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Actor } from '../../core/envelope.ts'
import { DroverError, invalidRequest } from '../../core/errors.ts'
import { SESSION_ID_PATTERN } from '../../core/ids.ts'
import { parseRequest, spawnBodySchema } from '../../core/request.ts'
import { SESSION_STATES } from '../../core/state.ts'
import type { LedgerReader, SessionView } from '../../ledger/ledger.ts'
import type { SessionStore } from '../../queue/session-store.ts'
import type { Recorder } from '../../recorder/recorder.ts'
import { sessionNotFound } from '../known.ts'
import { createListQueryParser, idempotencyKeyOf } from '../query.ts'
import { LEDGER_WAIT_MS, type Spawn } from '../spawn.ts'

export interface SessionRoutesParts {
  readonly ledger: LedgerReader
  readonly store: Pick<SessionStore, 'read'>
  readonly recorder: Pick<Recorder, 'waitFor'>
  readonly spawn: Spawn
  /** Aborts when the client has gone, or the board stops. */
  readonly untilGone: (reply: FastifyReply) => AbortSignal
}

export function sessionRoutes(app: FastifyInstance, parts: SessionRoutesParts): void {
  const { ledger } = parts
  const parseList = createListQueryParser(SESSION_STATES, ['created_by', 'orchestrator_id', 'failure_reason'])

  app.post('/api/v1/sessions', async (request, reply) => {
    const body = parseRequest(spawnBodySchema, request.body)
    const { httpStatus, answer } = await parts.spawn(body, {
      actor: actorOf(request),
      idempotencyKey: idempotencyKeyOf(request.headers['idempotency-key']),
      createdBy: await parentOf(parts, sessionThatAsks(request)),
      signal: parts.untilGone(reply),
    })
    return await reply.code(httpStatus).send(answer)
  })

  app.get('/api/v1/sessions', (request) => {
    const { rows, nextCursor } = ledger.sessions.list(parseList(request.query))
    return { success: true, sessions: rows, next_cursor: nextCursor }
  })

  app.get<{ Params: { id: string } }>('/api/v1/sessions/:id', async (request) => {
    const session = await recordedSession(parts, request.params.id)
    const { session_id: id } = session
    return {
      success: true,
      session,
      agents: ledger.agents.ofSession(id),
      models: ledger.trees.models(id),
      ...ledger.trees.of(id),
      // What is known to be missing of its events and lines.
      gaps: ledger.gaps.ofSession(id),
      // What a caller that waited for the end was answered; null before it.
      answer: ledger.sessions.completedAnswer(id),
    }
  })
}

/**
 * The session whose agent asks, as the header `Drover-Session` says; null without it.
 *
 * @throws DroverError `invalid_request` for what is no session's id
 */
function sessionThatAsks(request: FastifyRequest): string | null {
  const header = request.headers['drover-session']
  if (header === undefined) return null
  if (typeof header === 'string' && SESSION_ID_PATTERN.test(header)) return header
  throw noParent('must be the id of a session, a UUID in lower case')
}

/** @throws DroverError `invalid_request` for no session of this Drover: a lineage that leads nowhere helps nobody */
async function parentOf(
  parts: Pick<SessionRoutesParts, 'ledger' | 'store'>,
  sessionId: string | null,
): Promise<string | null> {
  if (sessionId === null || parts.ledger.sessions.get(sessionId) !== null) return sessionId
  // Accepted a moment ago. Redis away: what is not in the ledger is not known.
  if ((await parts.store.read(sessionId).catch(() => null)) !== null) return sessionId
  throw noParent(
    `names ${sessionId}, which is no session of this Drover. Leave it out; drover spawn does with --created-by none`,
  )
}

const noParent = (message: string): DroverError => invalidRequest([{ path: 'Drover-Session', message }])

/**
 * Who asks: the command line says so in its `User-Agent`, an agent its session. Both are what the caller claims.
 *
 * @throws DroverError `invalid_request` where what it calls its session is no id
 */
export function actorOf(request: FastifyRequest): Actor {
  const fromCli = request.headers['user-agent']?.startsWith('drover-cli') ?? false
  return { via: fromCli ? 'cli' : 'http', name: sessionThatAsks(request) }
}

/**
 * The session's row. One that was accepted a moment ago is waited for.
 *
 * @throws DroverError `session_not_found`; `ledger_unavailable` where it is accepted and the recorder is behind
 */
export async function recordedSession(
  parts: Pick<SessionRoutesParts, 'ledger' | 'store' | 'recorder'>,
  sessionId: string,
): Promise<SessionView> {
  const row = parts.ledger.sessions.get(sessionId)
  if (row !== null) return row
  // Redis away: what is not in the ledger is not known.
  const record = await parts.store.read(sessionId).catch(() => null)
  if (record === null) throw sessionNotFound(parts.ledger, sessionId)
  await parts.recorder.waitFor(record.firstId, LEDGER_WAIT_MS)
  const late = parts.ledger.sessions.get(sessionId)
  if (late !== null) return late
  throw new DroverError(
    'ledger_unavailable',
    `The session ${sessionId} is accepted (${record.state}), but the recorder is behind. Ask again in a moment.`,
    { session_id: sessionId, status: record.state, retry_after_seconds: 1 },
  )
}

/** `/api/v1/sessions`: asking for sessions, lists and single ones. */
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { spawnAnswerSchema } from '../../core/answer.ts'
import { listDocument, recorded } from '../../core/documents.ts'
import { DroverError, invalidRequest } from '../../core/errors.ts'
import { spawnBodySchema } from '../../core/request.ts'
import { sessionDocumentSchema, sessionViewSchema } from '../../core/session-view.ts'
import { SESSION_STATES } from '../../core/state.ts'
import type { LedgerReader, SessionView } from '../../ledger/ledger.ts'
import type { SessionStore } from '../../queue/session-store.ts'
import type { Tidying } from '../../queue/tidying.ts'
import type { Recorder } from '../../recorder/recorder.ts'
import { sessionNotFound } from '../known.ts'
import { spawnHeaders } from '../headers.ts'
import { askingSession, actorOf } from '../principal.ts'
import { listQuery } from '../query.ts'
import { LEDGER_WAIT_MS, type Spawn } from '../spawn.ts'
import { untilTidied } from '../tidied.ts'
import type { BoardApp } from '../zod-routes.ts'

export interface SessionRoutesParts {
  readonly ledger: LedgerReader
  readonly store: Pick<SessionStore, 'read'>
  readonly recorder: Pick<Recorder, 'waitFor'>
  readonly spawn: Spawn
  readonly tidying: Pick<Tidying, 'until'>
  /** Aborts when the client has gone, or the board stops. */
  readonly untilGone: (reply: FastifyReply) => AbortSignal
}

const tags = ['Sessions']

/** Declares them. */
export function sessionRoutes(app: BoardApp, parts: SessionRoutesParts): void {
  const { ledger } = parts

  app.post(
    '/api/v1/sessions',
    {
      config: { scope: 'submit' },
      schema: {
        tags,
        summary: 'Ask for a session (202), or find the one that was asked for with the same key (200)',
        headers: spawnHeaders,
        body: spawnBodySchema,
        response: { 200: spawnAnswerSchema, 202: spawnAnswerSchema },
      },
    },
    async (request, reply) => {
      const { httpStatus, answer } = await parts.spawn(request.body, {
        actor: actorOf(request),
        idempotencyKey: request.headers['idempotency-key'] ?? null,
        createdBy: await knownSession(parts, askingSession(request)),
        awaited: request.headers['drover-wait'] !== undefined,
        signal: parts.untilGone(reply),
      })
      return await reply.code(httpStatus).send(answer)
    },
  )

  app.get(
    '/api/v1/sessions',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Sessions, newest first',
        querystring: listQuery(SESSION_STATES, [
          'created_by',
          'orchestrator_id',
          'failure_reason',
          'id_prefix',
        ]),
        response: { 200: recorded(listDocument('sessions', sessionViewSchema)) },
      },
    },
    async (request) => {
      const { rows, nextCursor } = ledger.sessions.list(request.query)
      return { success: true as const, sessions: rows, next_cursor: nextCursor }
    },
  )

  app.get(
    '/api/v1/sessions/:id',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'One session with its agents, its tree and its answer',
        params: z.object({ id: z.string() }),
        response: { 200: recorded(sessionDocumentSchema) },
      },
    },
    async (request) => {
      const session = await recordedSession(parts, request.params.id)
      const { session_id: id } = session
      await untilTidied(parts.tidying, id, session.completed_at)
      return {
        success: true as const,
        session,
        agents: ledger.agents.ofSession(id),
        models: ledger.trees.models(id),
        ...ledger.trees.of(id),
        messages: ledger.followUps.messages(id),
        questions: ledger.followUps.questions(id),
        gaps: ledger.gaps.ofSession(id),
        answer: ledger.sessions.completedAnswer(id),
      }
    },
  )
}

/** @throws DroverError `invalid_request` for no session of this Drover: a lineage that leads nowhere helps nobody */
async function knownSession(
  parts: Pick<SessionRoutesParts, 'ledger' | 'store'>,
  sessionId: string | null,
): Promise<string | null> {
  if (sessionId === null || (await isKnownSession(parts, sessionId))) return sessionId
  const message = `names ${sessionId}, which is no session of this Drover. Leave it out; drover spawn does with --created-by none`
  throw invalidRequest([{ path: 'Drover-Session', message }])
}

/** Whether the ledger or Redis knows a session of this id. */
export async function isKnownSession(
  { ledger, store }: Pick<SessionRoutesParts, 'ledger' | 'store'>,
  sessionId: string,
): Promise<boolean> {
  if (ledger.sessions.get(sessionId) !== null) return true
  // Accepted a moment ago. Redis away: what is not in the ledger is not known.
  return (await store.read(sessionId).catch(() => null)) !== null
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

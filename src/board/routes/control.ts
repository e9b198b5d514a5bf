/** Killing and restarting sessions, one by one and all at once. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import {
  killBodySchema,
  parseRequest,
  restartBodySchema,
  restartFailedBodySchema,
} from '../../core/request.ts'
import type { Control } from '../control.ts'
import type { ControlAll } from '../control-all.ts'
import { actorOf } from './sessions.ts'

export interface ControlRoutesParts {
  readonly control: Control
  readonly controlAll: ControlAll
  /** Aborts when the client has gone, or the board stops. */
  readonly untilGone: (reply: FastifyReply) => AbortSignal
}

export function controlRoutes(app: FastifyInstance, parts: ControlRoutesParts): void {
  const { control, controlAll, untilGone } = parts

  app.post<{ Params: { id: string } }>('/api/v1/sessions/:id/kill', async (request, reply) => {
    const body = parseRequest(killBodySchema, request.body ?? {})
    return await control.kill(request.params.id, body, { actor: actorOf(request), signal: untilGone(reply) })
  })

  app.post<{ Params: { id: string } }>('/api/v1/sessions/:id/restart', async (request, reply) => {
    const body = parseRequest(restartBodySchema, request.body ?? {})
    const answer = await control.restart(request.params.id, body, {
      actor: actorOf(request),
      signal: untilGone(reply),
    })
    return await reply.code(answer.restart_of === null ? 200 : 202).send(answer)
  })

  app.post('/api/v1/agents/kill-stalled', async (request, reply) =>
    controlAll.killStalled({ actor: actorOf(request), signal: untilGone(reply) }),
  )

  app.post('/api/v1/sessions/restart-failed', async (request, reply) => {
    const body = parseRequest(restartFailedBodySchema, request.body ?? {})
    return await controlAll.restartFailed(body, { actor: actorOf(request), signal: untilGone(reply) })
  })
}

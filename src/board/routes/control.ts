/** Killing and restarting sessions, one by one and all at once. */
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import {
  killAnswerSchema,
  killStalledAnswerSchema,
  restartAnswerSchema,
  restartFailedAnswerSchema,
} from '../../core/answer.ts'
import { killBodySchema, restartBodySchema, restartFailedBodySchema } from '../../core/request.ts'
import type { Control } from '../control.ts'
import type { ControlAll } from '../control-all.ts'
import { actorOf } from '../principal.ts'
import type { BoardApp } from '../zod-routes.ts'

export interface ControlRoutesParts {
  readonly control: Control
  readonly controlAll: ControlAll
  /** Aborts when the client has gone, or the board stops. */
  readonly untilGone: (reply: FastifyReply) => AbortSignal
}

const params = z.object({ id: z.string().describe('Of a session, or of its agent.') })

/** Declares them. */
export function controlRoutes(app: BoardApp, parts: ControlRoutesParts): void {
  const { control, controlAll, untilGone } = parts

  app.post(
    '/api/v1/sessions/:id/kill',
    {
      config: { scope: 'control' },
      schema: {
        tags: ['Sessions'],
        summary: 'End a session; answers when it has ended',
        params,
        body: killBodySchema,
        response: { 200: killAnswerSchema },
      },
    },
    async (request, reply) =>
      control.kill(request.params.id, request.body, { actor: actorOf(request), signal: untilGone(reply) }),
  )

  app.post(
    '/api/v1/sessions/:id/restart',
    {
      config: { scope: 'control' },
      schema: {
        tags: ['Sessions'],
        summary: 'Another agent at once (200), or a new session that goes on from an ended one (202)',
        params,
        body: restartBodySchema,
        response: { 200: restartAnswerSchema, 202: restartAnswerSchema },
      },
    },
    async (request, reply) => {
      const by = { actor: actorOf(request), signal: untilGone(reply) }
      const answer = await control.restart(request.params.id, request.body, by)
      return await reply.code(answer.restart_of === null ? 200 : 202).send(answer)
    },
  )

  app.post(
    '/api/v1/agents/kill-stalled',
    {
      config: { scope: 'control' },
      schema: {
        tags: ['Agents'],
        summary: 'End every session whose agent is stalled or dead',
        body: z.strictObject({}),
        response: { 200: killStalledAnswerSchema },
      },
    },
    async (request, reply) => controlAll.killStalled({ actor: actorOf(request), signal: untilGone(reply) }),
  )

  app.post(
    '/api/v1/sessions/restart-failed',
    {
      config: { scope: 'control' },
      schema: {
        tags: ['Sessions'],
        summary: 'Restart the failed sessions that a restart may mend',
        body: restartFailedBodySchema,
        response: { 200: restartFailedAnswerSchema },
      },
    },
    async (request, reply) =>
      controlAll.restartFailed(request.body, { actor: actorOf(request), signal: untilGone(reply) }),
  )
}

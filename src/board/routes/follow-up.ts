/** Saying something to a session: messages, interrupts, answers to its questions. */
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import {
  interruptAnswerSchema,
  interruptBodySchema,
  permissionAnswerSchema,
  permissionBodySchema,
  sendAnswerSchema,
  sendBodySchema,
} from '../../core/follow-up.ts'
import type { BoardFollowUp } from '../follow-up.ts'
import { sendHeaders } from '../headers.ts'
import { actorOf } from '../principal.ts'
import type { BoardApp } from '../zod-routes.ts'

export interface FollowUpRoutesParts {
  readonly followUp: BoardFollowUp
  /** Aborts when the client has gone, or the board stops. */
  readonly untilGone: (reply: FastifyReply) => AbortSignal
}

const params = z.object({ id: z.string().describe('Of a session, or of its agent.') })
const tags = ['Sessions']

/** Declares them. */
export function followUpRoutes(app: BoardApp, { followUp, untilGone }: FollowUpRoutesParts): void {
  app.post(
    '/api/v1/sessions/:id/messages',
    {
      config: { scope: 'control' },
      schema: {
        tags,
        summary: 'Leave a message for its agent: steered into the running turn, or the next one',
        params,
        headers: sendHeaders,
        body: sendBodySchema,
        response: { 200: sendAnswerSchema, 202: sendAnswerSchema },
      },
    },
    async (request, reply) => {
      const answer = await followUp.send(request.params.id, request.body, {
        actor: actorOf(request),
        idempotencyKey: request.headers['idempotency-key'],
      })
      return await reply.code(answer.repeated ? 200 : 202).send(answer)
    },
  )

  app.post(
    '/api/v1/sessions/:id/interrupt',
    {
      config: { scope: 'control' },
      schema: {
        tags,
        summary: 'Stop its turn; the session stays, and waits for a message',
        params,
        body: interruptBodySchema,
        response: { 200: interruptAnswerSchema },
      },
    },
    async (request, reply) =>
      followUp.interrupt(request.params.id, { actor: actorOf(request), signal: untilGone(reply) }),
  )

  app.post(
    '/api/v1/sessions/:id/permissions',
    {
      config: { scope: 'control' },
      schema: {
        tags,
        summary: 'Answer what its agent asks before it uses a tool',
        params,
        body: permissionBodySchema,
        response: { 200: permissionAnswerSchema },
      },
    },
    async (request) => followUp.answer(request.params.id, request.body, { actor: actorOf(request) }),
  )
}

/** `/api/v1/messages`: mail between agents. */
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { listDocument, recorded } from '../../core/documents.ts'
import {
  acknowledgedAnswerSchema,
  broadcastAnswerSchema,
  broadcastSchema,
  inboxAnswerSchema,
  inboxSchema,
  mailSchema,
  replySchema,
  sendMailSchema,
  sentAnswerSchema,
} from '../../core/mail.ts'
import type { LedgerReader } from '../../ledger/ledger.ts'
import type { Correspondent, PostOffice } from '../mail.ts'
import { actorOf, askingSession } from '../principal.ts'
import { messageQuery } from '../query.ts'
import type { BoardApp } from '../zod-routes.ts'

export interface MessageRoutesParts {
  readonly ledger: Pick<LedgerReader, 'messages'>
  readonly postOffice: PostOffice
}

const ofMessage = z.object({ id: z.string() })
const tags = ['Messages']

/** Declares them. A session sends as itself, and sees its own mail alone. */
export function messageRoutes(app: BoardApp, { ledger, postOffice }: MessageRoutesParts): void {
  app.post(
    '/api/v1/messages',
    {
      config: { scope: 'submit' },
      schema: {
        summary: 'Sends a message to a session, an agent type, the parent or the operator',
        tags,
        body: sendMailSchema,
        response: { 200: sentAnswerSchema },
      },
    },
    (request) => postOffice.send(request.body, correspondent(request)),
  )

  app.post(
    '/api/v1/messages/broadcast',
    {
      config: { scope: 'submit' },
      schema: {
        summary: 'Sends a message to each session that has an agent',
        tags,
        body: broadcastSchema,
        response: { 200: broadcastAnswerSchema },
      },
    },
    (request) => postOffice.broadcast(request.body, correspondent(request)),
  )

  app.post(
    '/api/v1/messages/inbox',
    {
      config: { scope: 'submit' },
      schema: {
        summary: 'Reads the inbox of the session that asks, unread messages first; nothing is lost by it',
        tags,
        body: inboxSchema,
        response: { 200: inboxAnswerSchema },
      },
    },
    (request) => postOffice.inbox(request.body.limit, correspondent(request)),
  )

  app.post(
    '/api/v1/messages/:id/reply',
    {
      config: { scope: 'submit' },
      schema: {
        summary: 'Answers a message, which takes it from the inbox',
        tags,
        params: ofMessage,
        body: replySchema,
        response: { 200: sentAnswerSchema },
      },
    },
    (request) => postOffice.reply(request.params.id, request.body, correspondent(request)),
  )

  app.post(
    '/api/v1/messages/:id/acknowledge',
    {
      config: { scope: 'submit' },
      schema: {
        summary: 'Takes a message from the inbox',
        tags,
        params: ofMessage,
        body: z.strictObject({}),
        response: { 200: acknowledgedAnswerSchema },
      },
    },
    (request) => postOffice.acknowledge(request.params.id, correspondent(request)),
  )

  app.get(
    '/api/v1/messages',
    {
      config: { scope: 'read' },
      schema: {
        summary: 'Lists messages, newest first',
        tags,
        querystring: messageQuery,
        response: { 200: recorded(listDocument('messages', mailSchema)) },
      },
    },
    async (request) => {
      const own = askingSession(request)
      const { rows, nextCursor } = ledger.messages.list({
        ...request.query,
        ...(own === null ? {} : { sessionId: own }),
      })
      return { success: true as const, messages: rows, next_cursor: nextCursor }
    },
  )

  app.get(
    '/api/v1/messages/:id',
    {
      config: { scope: 'read' },
      schema: {
        summary: 'One message, with its whole text',
        tags,
        params: ofMessage,
        response: { 200: recorded(z.object({ success: z.literal(true), message: mailSchema })) },
      },
    },
    async (request) => ({
      success: true as const,
      message: await postOffice.message(request.params.id, correspondent(request)),
    }),
  )
}

function correspondent(request: FastifyRequest): Correspondent {
  return { actor: actorOf(request), sessionId: askingSession(request) }
}

/** Answers that are texts already: typed routes want documents. */
import type { FastifyReply } from 'fastify'
import type { Readable } from 'node:stream'

/** Answers with a text that is JSON already, without parsing it. */
export function sendJsonText(reply: FastifyReply, text: string): Promise<never> {
  return sendAsIs(reply.header('content-type', 'application/json; charset=utf-8'), text)
}

/** Sends a text, or a stream of it; its type is in the headers. */
export async function sendAsIs(reply: FastifyReply, answer: string | Readable): Promise<never> {
  return await reply.send(answer)
}

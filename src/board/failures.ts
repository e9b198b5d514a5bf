/** Every failure as the document of CONTRACT §3, whoever noticed it; as a page for whoever looks for one. */
import { STATUS_CODES } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import { DroverError, isDroverError } from '../core/errors.ts'
import { failurePage } from './pages/failure-page.ts'
import { PLAIN_CONTENT_POLICY } from './pages/plain-page.ts'

/** Sets what answers errors and unknown routes. */
export function answerFailures(app: FastifyInstance, log: Logger): void {
  app.setErrorHandler((error, request, reply) => {
    const failure = isDroverError(error) ? error : fromFastify(error as FastifyFailure)
    if (failure !== null) return sendFailure(reply, failure)
    log.error({ err: error, method: request.method, route: request.routeOptions.url }, 'a request failed')
    return sendFailure(
      reply,
      new DroverError(
        'internal_error',
        'Drover failed to answer this. The reason is in the log of the board.',
      ),
    )
  })

  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? ''
    const message = `There is no ${request.method} ${path.slice(0, 200)}. docs/http-api.md has the list of routes.`
    if (asksForPage(request)) {
      return sendPlainPage(
        reply,
        failurePage('not found', `There is no page ${path.slice(0, 200)} here.`),
        404,
      )
    }
    return reply.code(404).send(new DroverError('invalid_request', message).toAnswer())
  })
}

export function sendFailure(reply: FastifyReply, failure: DroverError): FastifyReply {
  const { httpStatus: status, message } = failure
  if (!asksForPage(reply.request)) return reply.code(status).send(failure.toAnswer())
  return sendPlainPage(reply, failurePage((STATUS_CODES[status] ?? 'failed').toLowerCase(), message), status)
}

/** A person with a browser: programs and scripts of pages ask for no HTML, and the API has none for anybody. */
export function asksForPage({ method, url, headers }: FastifyRequest): boolean {
  return (
    method === 'GET' && (headers.accept ?? '').includes('text/html') && !/^\/(api|mcp)(\/|\?|$)/.test(url)
  )
}

/** Sends a page of `plain-page.ts`. */
export function sendPlainPage(reply: FastifyReply, html: string, status: number): FastifyReply {
  return (
    reply
      .code(status)
      .type('text/html; charset=utf-8')
      .header('content-security-policy', PLAIN_CONTENT_POLICY)
      // With `no-referrer` a browser sends the form with `Origin: null`.
      .header('referrer-policy', 'same-origin')
      .send(html)
  )
}

type FastifyFailure = Error & { readonly code?: string; readonly statusCode?: number }

/** What Fastify itself refuses is the caller's: a broken body, a wrong content type. Anything else is ours. */
function fromFastify(error: FastifyFailure): DroverError | null {
  if (error.statusCode === undefined || error.statusCode >= 500) return null
  return unreadable(error)
}

/** `invalid_request` for what Fastify could not make a request of. */
export function unreadable(error: FastifyFailure): DroverError {
  return new DroverError('invalid_request', sentenceOf(error), {}, { cause: error })
}

function sentenceOf(error: FastifyFailure): string {
  switch (error.code ?? '') {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return 'The request is too large. A prompt has at most 10 MB; put long material into a file of the workspace.'
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return 'The request has no JSON body. Send one, with "Content-Type: application/json".'
    case 'FST_ERR_BAD_URL':
      return 'The path cannot be read: a "%" in it begins no character.'
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return 'A part of the path is longer than any id.'
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return 'The request has an empty body. Send a JSON object.'
    default:
      return `The request could not be read: ${error.message}.`
  }
}

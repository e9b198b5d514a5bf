/** Bodies of requests: JSON in UTF-8, and nothing else. */
import type { FastifyInstance } from 'fastify'
import { DroverError } from '../core/errors.ts'

/**
 * Sets what reads them; before the first route. Bytes that are no UTF-8 are refused: read as text they would become
 * other characters, and an agent would get another prompt than was sent.
 */
export function readJsonBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  const decoder = new TextDecoder('utf-8', { fatal: true })
  // Fastify's own for text would hand a string to the routes, which take objects alone.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    let text: string
    try {
      text = decoder.decode(body)
    } catch {
      done(new DroverError('invalid_request', 'The body is not UTF-8 text. Send JSON in UTF-8.'))
      return
    }
    // oxlint-disable-next-line typescript/no-floating-promises -- it calls back, and answers nothing
    parse(request, text, done)
  })
}

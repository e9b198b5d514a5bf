/**
 * Routes that are declared with zod: `schema` has the schemas of `params`, `querystring`, `body` and of the answers,
 * which check what comes in, type the handler and make the OpenAPI document; `config.scope` says what a token must
 * allow. What is wrong with a request is our own `invalid_request`, all of it at once.
 */
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { z } from 'zod'
import { invalidRequest } from '../core/errors.ts'
import { issuesOf } from '../core/request.ts'

/** What a token allows: `read` looks, `submit` asks for work, `control` changes what is there, `admin` everything. */
export const SCOPES = ['read', 'submit', 'control', 'admin'] as const
export type Scope = (typeof SCOPES)[number]

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a token must allow; `open` needs none. */
    readonly scope?: Scope | 'open'
  }
}

/** An app whose routes take zod schemas. */
export type BoardApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>

/** Sets how routes of `app` are checked. Answers are sent as they are: their schemas are for readers and tests. */
export function speakZod(app: FastifyInstance): BoardApp {
  app.setValidatorCompiler<z.ZodType>(({ schema, httpPart }) => (value: unknown) => {
    // A POST without a body is one with nothing in it.
    const given = httpPart === 'body' ? (value ?? {}) : value
    const parsed = schema.safeParse(given)
    return parsed.success ? { value: parsed.data } : { error: invalidRequest(issuesOf(parsed.error)) }
  })
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer))
  return app.withTypeProvider<ZodTypeProvider>()
}

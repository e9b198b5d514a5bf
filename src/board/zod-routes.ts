/**
 * Routes that are declared with zod: `schema` has the schemas of `params`, `querystring`, `headers`, `body` and of the
 * answers, which check what comes in, type the handler and make the OpenAPI document; `config.scope` says what a token
 * must allow. What is wrong with a request is our own `invalid_request`, all of it at once.
 */
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyRequest,
  FastifySchema,
  FastifyTypeProvider,
  RawServerDefault,
  RouteOptions,
} from 'fastify'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { z } from 'zod'
import { invalidRequest, type Issue } from '../core/errors.ts'
import { issuesOf } from '../core/request.ts'
import { SCOPES, type Scope } from '../core/scope.ts'
import { callerHeaders, headerName } from './headers.ts'

declare module 'fastify' {
  interface FastifySchema {
    /** For the OpenAPI document. */
    readonly summary?: string
    readonly description?: string
    readonly tags?: readonly string[]
  }
  interface FastifyContextConfig {
    /** What a token must allow; `open` needs none. A route without it is refused. */
    readonly scope?: Scope | 'open'
    /** Answers that are no JSON, by media type: what each is. For the OpenAPI document. */
    readonly texts?: Readonly<Record<string, string>>
  }
}

/** How Fastify's types get at what a route's zod schemas say: what came in is checked, what goes out is to fit. */
interface ZodTypeProvider extends FastifyTypeProvider {
  readonly validator: this['schema'] extends z.ZodType ? z.output<this['schema']> : unknown
  readonly serializer: this['schema'] extends z.ZodType ? z.input<this['schema']> : unknown
}

/** An app whose routes take zod schemas. */
export type BoardApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>

/** A route as it was declared. */
export interface DeclaredRoute {
  readonly method: string
  readonly url: string
  readonly scope: Scope | 'open'
  readonly texts: Readonly<Record<string, string>>
  readonly schema: FastifySchema | null
}

/** What a route without a scope of its own needs; null where no rule is for it. */
export type ScopeRule = (route: Pick<RouteOptions, 'method' | 'url'>) => Scope | null

/**
 * Sets how routes of `app` are declared and checked; before the first of them. Answers are sent as they are: their
 * schemas are for readers and tests. A route for which nobody says what a token must allow throws at its declaration.
 */
export function speakZod(
  app: FastifyInstance,
  scopeOf: ScopeRule,
): { readonly app: BoardApp; readonly routes: readonly DeclaredRoute[] } {
  const routes: DeclaredRoute[] = []
  app.addHook('onRoute', (route) => {
    const scope = route.config?.scope ?? scopeOf(route)
    if (scope === null || scope === undefined || (scope !== 'open' && !SCOPES.includes(scope))) {
      throw new Error(`${String(route.method)} ${route.url} has no config.scope: say who may ask for it.`)
    }
    route.config = { ...route.config, scope }
    // Whatever is asked for may be asked for by an agent, which says whose it is.
    if (route.method === 'POST' && route.schema !== undefined) {
      route.schema = { ...route.schema, headers: route.schema.headers ?? callerHeaders }
    }
    const { url, schema = null, config } = route
    for (const method of [route.method].flat()) {
      routes.push({ method, url, scope, texts: config.texts ?? {}, schema })
    }
  })
  // Fastify would stop at the first part of a request that has a problem.
  app.setValidatorCompiler(() => (value: unknown) => ({ value }))
  app.addHook('preValidation', async (request) => checkParts(request))
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer))
  return { app: app.withTypeProvider<ZodTypeProvider>(), routes }
}

/** Puts what the schemas make of a request in its place. Throws `invalid_request` with the problems of all parts. */
function checkParts(request: FastifyRequest): void {
  const { schema } = request.routeOptions
  if (schema === undefined) return
  const issues: Issue[] = []
  const parse = (part: unknown, value: unknown): unknown => {
    if (!(part instanceof z.ZodType)) return value
    const parsed = part.safeParse(value)
    if (parsed.success) return parsed.data
    issues.push(...issuesOf(parsed.error))
    return value
  }
  request.params = parse(schema.params, request.params)
  // A POST without a body is one with nothing in it.
  if (schema.body !== undefined) request.body = parse(schema.body, request.body ?? {})
  request.query = parse(schema.querystring, request.query)
  if (schema.headers instanceof z.ZodType) {
    const parsed = schema.headers.safeParse(request.headers)
    if (!parsed.success) {
      issues.push(...issuesOf(parsed.error).map(({ path, message }) => ({ path: headerName(path), message })))
    }
  }
  if (issues.length > 0) throw invalidRequest(issues)
}

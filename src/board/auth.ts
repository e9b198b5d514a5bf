/**
 * Who is let in, before anything of a request is read: first `Host` and `Origin` (`same-site.ts`), then the token,
 * then its scope. It holds for every route, declared or not; a route that is for all says `open`.
 */
import { fastifyCookie } from '@fastify/cookie'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { DroverError } from '../core/errors.ts'
import { sessionOfToken } from '../core/token.ts'
import { createCheckToken, type CheckToken, type TokenParts } from './check-token.ts'
import { asksForPage, sendFailure, sendPlainPage } from './failures.ts'
import { loginPage } from './pages/login-page.ts'
import { allows, type Principal, type Requirement } from './principal.ts'
import { createSameSiteCheck, type SameSiteOptions } from './same-site.ts'
import { toolsFor } from './tool-routes.ts'
import { untilRevoked } from './until-revoked.ts'

/** The cookie that a login sets: the token itself, for the browser alone (`HttpOnly`). */
export const LOGIN_COOKIE = 'drover_token'

/** RFC 6750: what is missing. */
const CHALLENGE = ['www-authenticate', 'Bearer realm="drover"'] as const

export type AuthParts = TokenParts & Omit<SameSiteOptions, 'hasTokens'>

export interface Auth {
  readonly checkToken: CheckToken
  /** Without tokens in the configuration everybody of this machine is let in. */
  readonly hasTokens: boolean
  /** Why a request is refused, or null; for what Fastify answers without its hooks. */
  refusalOf(request: FastifyRequest): Promise<DroverError | null>
  /** `signal`, and soon after the token of the request is nobody's any more. */
  untilRevoked(request: FastifyRequest, signal: AbortSignal): AbortSignal
}

/** Puts the check in front of every route; to be called before the first one is declared. */
export function requireTokens(app: FastifyInstance, parts: AuthParts): Auth {
  const hasTokens = parts.tokens.length > 0
  const checkToken = createCheckToken(parts)
  const siteRefusal = createSameSiteCheck({ ...parts, hasTokens })

  async function identify(request: FastifyRequest): Promise<Principal | null> {
    const token = tokenOf(app, request)
    // A board without tokens has no use for those of another one; an agent's says whose work it asks for.
    if (!hasTokens && (token === null || sessionOfToken(token) === null)) return { kind: 'open' }
    return token === null ? null : await checkToken(token)
  }

  async function look(request: FastifyRequest): Promise<Principal | DroverError | null> {
    const { config, url = '' } = request.routeOptions
    const { scope } = config ?? {}
    // Probes ask by whatever address they have, and have no token to take.
    const foreign = scope === 'open' && hasTokens && isProbe(request) ? null : siteRefusal(request.headers)
    if (foreign !== null) return foreign
    if (scope === 'open' && isProbe(request)) return null
    const principal = await identify(request)
    if (scope === 'open') return principal
    if (principal === null) return unauthorized(tokenOf(app, request) !== null)
    // What was declared nowhere is not there, whoever asks.
    if (scope === undefined) return principal
    const tools = principal.kind === 'session' ? toolsFor({ method: request.method, url }) : []
    const required = { scope, tools }
    return allows(principal, required) ? principal : forbidden(principal, required)
  }

  // Parsed by us, before the hook of the plugin could.
  app.register(fastifyCookie, { hook: false })
  app.decorateRequest('principal', null)
  app.addHook('onRequest', async (request, reply) => {
    const found = await look(request)
    if (!(found instanceof DroverError)) {
      request.principal = found
      return
    }
    // Answered here and not thrown: Bull Board has an error handler of its own.
    return refuse(request, reply, found)
  })
  return {
    checkToken,
    hasTokens,
    async refusalOf(request) {
      const found = await look(request)
      return found instanceof DroverError ? found : null
    },
    untilRevoked: (request, signal) =>
      request.principal?.kind === 'session' ? untilRevoked(() => identify(request), signal) : signal,
  }
}

const isProbe = ({ routeOptions }: FastifyRequest): boolean => routeOptions.url === '/healthz'

/** The token that a request shows: a program's header, else a browser's cookie. */
export function tokenOf(app: FastifyInstance, request: FastifyRequest): string | null {
  const { authorization, cookie } = request.headers
  if (authorization !== undefined) return /^Bearer +([\x21-\x7e]{1,4096}) *$/i.exec(authorization)?.[1] ?? ''
  return cookie === undefined ? null : (app.parseCookie(cookie)[LOGIN_COOKIE] ?? null)
}

function unauthorized(wasGiven: boolean): DroverError {
  const message = wasGiven
    ? 'The token is not one of this board: it is mistyped, was taken out of the configuration, or its session has ended. Set another one as DROVER_TOKEN.'
    : 'This board asks for a token. Set DROVER_TOKEN, send "Authorization: Bearer <token>", or log in with a browser at /login. "drover tokens create" makes one.'
  return new DroverError('unauthorized', message)
}

function forbidden(principal: Principal, { scope, tools }: Requirement): DroverError {
  if (principal.kind === 'session') {
    const lack =
      tools.length === 0
        ? 'does not open this: it is for people and their programs.'
        : `lacks the tool ${tools.join(' or ')}: the orchestrator_tools of its agent type decide that.`
    return new DroverError('forbidden', `The token of the session ${principal.sessionId} ${lack}`, {
      scope,
      tools,
    })
  }
  const { name, scopes } = principal.kind === 'token' ? principal : { name: '', scopes: [] }
  const message = `The token "${name}" lacks the scope "${scope}"; it has ${scopes.join(', ')}. Use one that has it ("drover tokens create --scopes ${scope}").`
  return new DroverError('forbidden', message, { scope })
}

function refuse(request: FastifyRequest, reply: FastifyReply, failure: DroverError): FastifyReply {
  if (failure.code !== 'unauthorized') return sendFailure(reply, failure)
  if (!asksForPage(request)) return sendFailure(reply.header(...CHALLENGE), failure)
  // The page in place of the one that was asked for: after the login it is there.
  return sendLogin(reply, loginPage({ next: request.url, problem: null }))
}

/** Sends a page of the login; 401 unless it is said otherwise. */
export function sendLogin(reply: FastifyReply, html: string, status = 401): FastifyReply {
  if (status === 401) reply.header(...CHALLENGE)
  return sendPlainPage(reply.header('cache-control', 'no-store'), html, status)
}

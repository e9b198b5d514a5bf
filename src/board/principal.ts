/** Who asks, and what they may. */
import type { FastifyRequest } from 'fastify'
import type { Actor } from '../core/envelope.ts'
import type { Scope } from '../core/scope.ts'

/** Who a request is from, as far as it was shown: a board without tokens takes everybody of its machine. */
export type Principal =
  | { readonly kind: 'open' }
  | { readonly kind: 'token'; readonly name: string; readonly scopes: readonly Scope[] }
  | { readonly kind: 'session'; readonly sessionId: string; readonly tools: readonly string[] }

declare module 'fastify' {
  interface FastifyRequest {
    /** null until it is known, and for whoever asks an open route without a token. */
    principal: Principal | null
  }
}

/** What a route asks of whom it lets in. */
export interface Requirement {
  readonly scope: Scope
  /** Of an agent, in place of the scope: one of these tools (`tool-routes.ts`). */
  readonly tools: readonly string[]
}

/** Whether the principal has what the route requires. */
export function allows(principal: Principal, { scope, tools }: Requirement): boolean {
  if (principal.kind === 'open') return true
  if (principal.kind === 'session') return principal.tools.some((tool) => tools.includes(tool))
  return principal.scopes.includes(scope) || principal.scopes.includes('admin')
}

/** By the product that a `User-Agent` names. */
const DOORS: ReadonlyMap<string, Actor['via']> = new Map([
  ['drover-cli', 'cli'],
  ['drover-mcp', 'mcp'],
  ['drover-client', 'typescript'],
])

/** Who asks; of a request that was let in. */
export function principalOf(request: FastifyRequest): Principal {
  return request.principal ?? { kind: 'open' }
}

/**
 * The session whose agent asks: the one that its token is of, else the one that the header `Drover-Session` names;
 * null without either.
 */
export function askingSession(request: FastifyRequest): string | null {
  const principal = principalOf(request)
  if (principal.kind === 'session') return principal.sessionId
  const header = request.headers['drover-session']
  return typeof header === 'string' ? header : null
}

/**
 * Who asks, for the record: a token's name, or the session whose agent it is. Through which door is what the caller
 * says: the command line, the MCP server and `createClient` do in their `User-Agent`.
 */
export function actorOf(request: FastifyRequest): Actor {
  const principal = principalOf(request)
  const [agent = ''] = (request.headers['user-agent'] ?? '').split('/')
  return {
    via: DOORS.get(agent) ?? 'http',
    name: principal.kind === 'token' ? principal.name : askingSession(request),
  }
}

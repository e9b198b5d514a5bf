/** `/mcp`: the MCP server over Streamable HTTP. Each request has a server of its own, with its caller's rights. */
import { createMcpHandler } from '@modelcontextprotocol/server'
import { toNodeHandler, type NodeIncomingMessageLike } from '@modelcontextprotocol/node'
import type { FastifyRequest } from 'fastify'
import { createMcpServer } from '../../mcp/server.ts'
import { createHttpClient } from '../../producer/http-client.ts'
import { tokenOf } from '../auth.ts'
import { askingSession, principalOf } from '../principal.ts'
import type { BoardApp } from '../zod-routes.ts'

export interface McpRouteParts {
  /** This board's own address: calls come back to it, so that what holds for every caller holds for them. */
  readonly ownUrl: () => string
  readonly version: string
  readonly maxResultChars: number
  /** Longest request body, in bytes. */
  readonly bodyLimit: number
  /** Aborts when the board stops: what waits is answered, with the way to wait again. */
  readonly stopping: AbortSignal
  readonly onError: (error: unknown) => void
}

/** Declares it. */
export function mcpRoute(app: BoardApp, parts: McpRouteParts): void {
  void app.register(async (scope) => {
    // The library reads the body itself: what is wrong with it is a matter of the protocol.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, _body, done) => done(null))
    scope.route({
      method: ['GET', 'POST', 'DELETE'],
      url: '/mcp',
      config: { scope: 'read' },
      handler: async (request, reply) => {
        reply.hijack()
        reply.raw.setHeader('x-content-type-options', 'nosniff')
        await serve(app, parts, request)(request.raw as NodeIncomingMessageLike, reply.raw)
      },
    })
  })
}

function serve(
  app: BoardApp,
  parts: McpRouteParts,
  request: FastifyRequest,
): ReturnType<typeof toNodeHandler> {
  const principal = principalOf(request)
  const client = createHttpClient({
    url: parts.ownUrl(),
    token: tokenOf(app, request),
    userAgent: `drover-mcp/${parts.version}`,
    asSession: askingSession(request),
  })
  const { version, maxResultChars, stopping, onError, bodyLimit } = parts
  const handler = createMcpHandler(
    () =>
      createMcpServer({
        client,
        session: askingSession(request),
        tools: principal.kind === 'session' ? principal.tools : null,
        maxResultChars,
        version,
        stopping,
        onError,
      }),
    { onerror: onError, maxRequestBodySize: bodyLimit },
  )
  return toNodeHandler(handler, { onerror: onError, maxRequestBodySize: bodyLimit })
}

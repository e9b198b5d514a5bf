/** The HTTP side of the board: every route, and what holds for all of them. */
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import { PROMPT_LIMIT_BYTES } from '../core/request.ts'
import { bullBoardScope, mountBullBoard, type BullBoardParts, type MountedBullBoard } from './bull-board.ts'
import { requireTokens, type Auth, type AuthParts } from './auth.ts'
import { refuseNoRequest } from './client-errors.ts'
import { answerFailures, sendFailure, unreadable } from './failures.ts'
import { answerFreshness } from './freshness.ts'
import { readJsonBodies } from './json-body.ts'
import { agentRoutes } from './routes/agents.ts'
import { agentTypeRoutes, type AgentTypeRoutesParts } from './routes/agent-types.ts'
import { controlRoutes, type ControlRoutesParts } from './routes/control.ts'
import { costRoutes } from './routes/cost.ts'
import { eventRoutes } from './routes/events.ts'
import { exportRoutes } from './routes/export.ts'
import { followUpRoutes, type FollowUpRoutesParts } from './routes/follow-up.ts'
import { loginRoutes } from './routes/login.ts'
import { healthRoutes, type HealthRoutesParts } from './routes/health.ts'
import { mcpRoute, type McpRouteParts } from './routes/mcp.ts'
import { messageRoutes, type MessageRoutesParts } from './routes/messages.ts'
import { metricsRoutes, type MetricsRoutesParts } from './routes/metrics.ts'
import { monitorRoutes, type MonitorRoutesParts } from './routes/monitor.ts'
import { openApiRoutes } from './routes/openapi.ts'
import { pageRoutes } from './routes/pages.ts'
import { podRoutes, type PodRoutesParts } from './routes/pods.ts'
import { sessionEventRoutes, type EventRoutesParts } from './routes/session-events.ts'
import { sessionRoutes, type SessionRoutesParts } from './routes/sessions.ts'
import { taskControlRoutes, type TaskControlRoutesParts } from './routes/task-control.ts'
import { taskRoutes, type TaskRoutesParts } from './routes/tasks.ts'
import { speakZod, type DeclaredRoute } from './zod-routes.ts'
import { askedAt, hostWithPort } from './address.ts'
import { worktreeRoutes, type WorktreeRoutesParts } from './routes/worktrees.ts'

/**
 * JSON writes a control character as six bytes: the longest prompt fits however it is written, and one that is too
 * long is told so by a sentence instead of a broken connection.
 */
const BODY_LIMIT_BYTES = 6 * PROMPT_LIMIT_BYTES + 4 * 1024 * 1024

/** A task id has up to 128 characters; Fastify's own limit is 100, and what is longer is no route to it. */
const LONGEST_ID = 256

export type AppParts = SessionRoutesParts &
  ControlRoutesParts &
  FollowUpRoutesParts &
  Omit<EventRoutesParts, 'untilRevoked'> &
  TaskRoutesParts &
  MessageRoutesParts &
  TaskControlRoutesParts &
  AgentTypeRoutesParts &
  PodRoutesParts &
  MonitorRoutesParts &
  WorktreeRoutesParts &
  HealthRoutesParts &
  MetricsRoutesParts &
  Omit<BullBoardParts, 'hasLogin'> &
  Omit<McpRouteParts, 'ownUrl' | 'bodyLimit'> &
  Omit<AuthParts, 'port'> & {
    /** A request has arrived with its whole body by then, or is refused. */
    readonly requestTimeoutMs: number
    readonly log: Logger
  }

export interface App {
  readonly fastify: FastifyInstance
  /** All that were declared, those of plugins once it listens. */
  readonly routes: readonly DeclaredRoute[]
  readonly bullBoard: MountedBullBoard
}

/** Listens on nothing yet. */
export function createApp(parts: AppParts): App {
  const { app, routes } = speakZod(
    fastify({
      logger: false,
      bodyLimit: BODY_LIMIT_BYTES,
      routerOptions: { maxParamLength: LONGEST_ID },
      // What no route is looked up for has none of the hooks below.
      frameworkErrors: (error, request, reply) => void refuseUnread(error, request, reply),
      requestTimeout: parts.requestTimeoutMs,
      http: {
        // A head that may take longer than the whole would change places with it.
        headersTimeout: parts.requestTimeoutMs / 2,
        connectionsCheckingInterval: parts.requestTimeoutMs / 4,
      },
      clientErrorHandler: refuseNoRequest,
    }),
    bullBoardScope,
  )
  const refuseUnread = async (error: Error, request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    sendFailure(reply, (await auth.refusalOf(request)) ?? unreadable(error))
  }
  const auth: Auth = requireTokens(app, { ...parts, port: () => portOf(app) })
  app.addHook('onSend', async (_request, reply) => {
    reply.header('x-content-type-options', 'nosniff')
    if (!reply.hasHeader('referrer-policy')) reply.header('referrer-policy', 'no-referrer')
  })
  readJsonBodies(app)
  answerFailures(app, parts.log)
  answerFreshness(app, parts)
  sessionRoutes(app, parts)
  sessionEventRoutes(app, { ...parts, untilRevoked: auth.untilRevoked })
  eventRoutes(app, parts)
  exportRoutes(app, parts)
  controlRoutes(app, parts)
  followUpRoutes(app, parts)
  agentRoutes(app, parts)
  taskRoutes(app, parts)
  messageRoutes(app, parts)
  taskControlRoutes(app, parts)
  agentTypeRoutes(app, parts)
  costRoutes(app, parts)
  podRoutes(app, parts)
  worktreeRoutes(app, parts)
  monitorRoutes(app, parts)
  healthRoutes(app, parts)
  metricsRoutes(app, parts)
  pageRoutes(app, parts)
  loginRoutes(app, auth)
  mcpRoute(app, {
    ...parts,
    bodyLimit: BODY_LIMIT_BYTES,
    ownUrl: () => `http://${hostWithPort(askedAt(parts.host), portOf(app))}`,
  })
  openApiRoutes(app, { version: parts.version, routes })
  return { fastify: app, routes, bullBoard: mountBullBoard(app, { ...parts, hasLogin: auth.hasTokens }) }
}

function portOf(app: FastifyInstance): number {
  const address = app.server.address()
  return address === null || typeof address === 'string' ? 0 : address.port
}

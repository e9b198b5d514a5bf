/** `/api/v1/agent-types`: what pods and boards have announced, and how busy it is. */
import { z } from 'zod'
import { listDocument } from '../../core/documents.ts'
import { DETAIL_LEVELS, searchTypes } from '../../core/search-types.ts'
import {
  agentTypeLineSchema,
  agentTypeViewSchema,
  type AgentTypeSummary,
  type AgentTypeView,
} from '../../core/type-view.ts'
import type { AgentTypeRegistry } from '../../queue/agent-types.ts'
import type { Queues } from '../../queue/jobs.ts'
import type { ViaRedis } from '../via-redis.ts'
import type { BoardApp } from '../zod-routes.ts'

export interface AgentTypeRoutesParts {
  readonly types: AgentTypeRegistry
  readonly queues: Queues
  readonly viaRedis: ViaRedis
}

const tags = ['Agent types']

/** Of those that have one of the words; what comes after is hardly what was meant. */
const BEST = 20
const MOST = 1000

const typesQuery = z.strictObject({
  q: z
    .string()
    .max(500)
    .optional()
    .describe('Words; the answer has the types that have one of them, best first.'),
  detail: z.enum(DETAIL_LEVELS).default('full').describe('How much of each: its name, a summary, all of it.'),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(MOST)
    .optional()
    .describe(`At most so many; ${BEST} where words are given, else all.`),
})

/** Declares them. */
export function agentTypeRoutes(app: BoardApp, { types, queues, viaRedis }: AgentTypeRoutesParts): void {
  const withCounts = async (type: AgentTypeSummary): Promise<AgentTypeView> => {
    const { active, waiting, prioritized } = await queues
      .of(type.name)
      .getJobCounts('active', 'waiting', 'prioritized')
    return { ...type, active: active ?? 0, waiting: (waiting ?? 0) + (prioritized ?? 0) }
  }

  app.get(
    '/api/v1/agent-types',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Agent types, and how busy they are; with words the best for them',
        querystring: typesQuery,
        response: { 200: listDocument('agent_types', agentTypeLineSchema) },
      },
    },
    async (request) => {
      const { q, detail, limit = q === undefined ? undefined : BEST } = request.query
      const all = await viaRedis(types.list())
      const found = q === undefined ? all : searchTypes(all, q)
      const shown = found.slice(0, limit)
      return {
        success: true as const,
        agent_types:
          detail === 'full'
            ? await viaRedis(Promise.all(shown.map(withCounts)))
            : shown.map(({ name, description }) => (detail === 'name' ? { name } : { name, description })),
        next_cursor: null,
      }
    },
  )

  app.get(
    '/api/v1/agent-types/:type',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'One agent type',
        params: z.object({ type: z.string() }),
        response: { 200: z.object({ success: z.literal(true), agent_type: agentTypeViewSchema }) },
      },
    },
    async (request) => {
      const type = await viaRedis(types.require(request.params.type))
      return { success: true as const, agent_type: await viaRedis(withCounts(type)) }
    },
  )
}

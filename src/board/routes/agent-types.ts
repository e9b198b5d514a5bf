/** `/api/v1/agent-types`: what pods and boards have announced, and how busy it is. */
import { z } from 'zod'
import { listDocument } from '../../core/documents.ts'
import { agentTypeViewSchema, type AgentTypeSummary, type AgentTypeView } from '../../core/type-view.ts'
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
        summary: 'Agent types, and how busy they are',
        response: { 200: listDocument('agent_types', agentTypeViewSchema) },
      },
    },
    async () => {
      const list = await viaRedis(types.list())
      return {
        success: true as const,
        agent_types: await viaRedis(Promise.all(list.map(withCounts))),
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

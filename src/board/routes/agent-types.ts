/** `/api/v1/agent-types`: what pods and boards have announced, and how busy it is. */
import type { FastifyInstance } from 'fastify'
import type { AgentTypeRegistry, AgentTypeSummary } from '../../queue/agent-types.ts'
import type { Queues } from '../../queue/jobs.ts'
import type { ViaRedis } from '../via-redis.ts'

export interface AgentTypeRoutesParts {
  readonly types: AgentTypeRegistry
  readonly queues: Queues
  readonly viaRedis: ViaRedis
}

export function agentTypeRoutes(
  app: FastifyInstance,
  { types, queues, viaRedis }: AgentTypeRoutesParts,
): void {
  const withCounts = async (type: AgentTypeSummary) => {
    const { active, waiting, prioritized } = await queues
      .of(type.name)
      .getJobCounts('active', 'waiting', 'prioritized')
    return { ...type, active: active ?? 0, waiting: (waiting ?? 0) + (prioritized ?? 0) }
  }

  app.get('/api/v1/agent-types', async () => {
    const list = await viaRedis(types.list())
    return {
      success: true,
      agent_types: await viaRedis(Promise.all(list.map(withCounts))),
      next_cursor: null,
    }
  })

  app.get<{ Params: { type: string } }>('/api/v1/agent-types/:type', async (request) => {
    const type = await viaRedis(types.require(request.params.type))
    return { success: true, agent_type: await viaRedis(withCounts(type)) }
  })
}

/** `/api/v1/monitor`: how every running agent is. */
import { z } from 'zod'
import { monitorAnswerSchema } from '../../core/monitor.ts'
import type { Monitor } from '../monitor.ts'
import type { BoardApp } from '../zod-routes.ts'

export interface MonitorRoutesParts {
  readonly monitor: Monitor
}

const querySchema = z.strictObject({
  agent_id: z
    .string({ error: 'must be given once' })
    .optional()
    .describe('This agent alone, also after its end.'),
})

export function monitorRoutes(app: BoardApp, { monitor }: MonitorRoutesParts): void {
  app.get(
    '/api/v1/monitor',
    {
      config: { scope: 'read' },
      schema: {
        summary: 'How every running agent is: process, CPU, memory, heartbeat, health',
        tags: ['Agents'],
        querystring: querySchema,
        response: { 200: monitorAnswerSchema },
      },
    },
    async (request) => monitor.answer(request.query.agent_id),
  )
}

/** `/api/v1/agents`: the processes of sessions. */
import { z } from 'zod'
import { agentViewSchema } from '../../core/agent-view.ts'
import { listDocument, recorded } from '../../core/documents.ts'
import { AGENT_STATES } from '../../core/state.ts'
import type { LedgerReader } from '../../ledger/ledger.ts'
import { requireAgent } from '../known.ts'
import { listQuery } from '../query.ts'
import type { BoardApp } from '../zod-routes.ts'

const tags = ['Agents']

/** Declares them. */
export function agentRoutes(app: BoardApp, { ledger }: { readonly ledger: LedgerReader }): void {
  app.get(
    '/api/v1/agents',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Agents, newest first',
        querystring: listQuery(AGENT_STATES, ['session_id', 'pod_id']),
        response: { 200: recorded(listDocument('agents', agentViewSchema)) },
      },
    },
    async (request) => {
      const { rows, nextCursor } = ledger.agents.list(request.query)
      return { success: true as const, agents: rows, next_cursor: nextCursor }
    },
  )

  app.get(
    '/api/v1/agents/:id',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'One agent',
        params: z.object({ id: z.string() }),
        response: { 200: recorded(z.object({ success: z.literal(true), agent: agentViewSchema })) },
      },
    },
    async (request) => ({ success: true as const, agent: requireAgent(ledger, request.params.id) }),
  )
}

/** `/api/v1/agents`: the processes of sessions. */
import type { FastifyInstance } from 'fastify'
import { AGENT_STATES } from '../../core/state.ts'
import type { LedgerReader } from '../../ledger/ledger.ts'
import { requireAgent } from '../known.ts'
import { createListQueryParser } from '../query.ts'

export function agentRoutes(app: FastifyInstance, { ledger }: { readonly ledger: LedgerReader }): void {
  const parseList = createListQueryParser(AGENT_STATES, ['session_id', 'pod_id'])

  app.get('/api/v1/agents', (request) => {
    const { rows, nextCursor } = ledger.agents.list(parseList(request.query))
    return { success: true, agents: rows, next_cursor: nextCursor }
  })

  app.get<{ Params: { id: string } }>('/api/v1/agents/:id', (request) => ({
    success: true,
    agent: requireAgent(ledger, request.params.id),
  }))
}

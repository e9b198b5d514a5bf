/** `/api/v1/cost?by=&since=` */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { parseRequest } from '../../core/request.ts'
import { COST_BY, type LedgerReader } from '../../ledger/ledger.ts'

const querySchema = z.strictObject({
  by: z.enum(COST_BY, { error: `must be one of ${COST_BY.join(', ')}` }).default('agent_type'),
  since: z.string({ error: 'must be given once' }).optional(),
})

export function costRoutes(app: FastifyInstance, { ledger }: { readonly ledger: LedgerReader }): void {
  app.get('/api/v1/cost', (request) => {
    const { by, since } = parseRequest(querySchema, request.query)
    return { success: true, ...ledger.cost(by, since) }
  })
}

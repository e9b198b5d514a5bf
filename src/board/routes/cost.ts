/** `/api/v1/cost?by=&since=&limit=` */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { COST_BY, parseRequest } from '../../core/request.ts'
import { COST_LIMIT_RULE, isCostLimit } from '../../ledger/cost-view.ts'
import type { LedgerReader } from '../../ledger/ledger.ts'
import { isTime, TIME_RULE } from '../../ledger/list.ts'

const querySchema = z.strictObject({
  by: z.enum(COST_BY, { error: `must be one of ${COST_BY.join(', ')}` }).default('agent_type'),
  since: z.string({ error: 'must be given once' }).refine(isTime, TIME_RULE).optional(),
  limit: z
    .string({ error: 'must be given once' })
    .transform((text) => (text.trim() === '' ? Number.NaN : Number(text)))
    .refine(isCostLimit, COST_LIMIT_RULE)
    .optional(),
})

export function costRoutes(app: FastifyInstance, { ledger }: { readonly ledger: LedgerReader }): void {
  app.get('/api/v1/cost', (request) => {
    const { by, since, limit } = parseRequest(querySchema, request.query)
    const asked = { ...(since === undefined ? {} : { since }), ...(limit === undefined ? {} : { limit }) }
    return { success: true, ...ledger.cost(by, asked) }
  })
}

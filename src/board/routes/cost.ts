/** `/api/v1/cost?by=&since=&limit=&cursor=` */
import { costDocumentSchema } from '../../core/cost.ts'
import { recorded } from '../../core/documents.ts'
import type { LedgerReader } from '../../ledger/ledger.ts'
import { costQuery } from '../query.ts'
import type { BoardApp } from '../zod-routes.ts'

/** Declares it. */
export function costRoutes(app: BoardApp, { ledger }: { readonly ledger: LedgerReader }): void {
  app.get(
    '/api/v1/cost',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['Cost'],
        summary: 'What was spent, in groups',
        querystring: costQuery,
        response: { 200: recorded(costDocumentSchema) },
      },
    },
    async (request) => {
      const { by, ...asked } = request.query
      const given = Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined))
      return { success: true as const, ...ledger.cost(by, given) }
    },
  )
}

/** `/api/v1/events` and `/api/v1/search`: what happened and what was said, in all sessions. */
import type { FastifyInstance } from 'fastify'
import type { LedgerReader } from '../../ledger/ledger.ts'
import { parseEventFilter, parseSearch } from '../query.ts'

/** Declares them. */
export function eventRoutes(app: FastifyInstance, { ledger }: { readonly ledger: LedgerReader }): void {
  app.get('/api/v1/events', async (request, reply) => {
    const { rows, nextCursor } = ledger.listEvents(parseEventFilter(request.query))
    // The events' texts go out as they are: parsing and printing them would change numbers and keys.
    return await reply
      .header('content-type', 'application/json; charset=utf-8')
      .send(
        `{"success":true,"events":[${rows.join(',')}],` +
          JSON.stringify({ next_cursor: nextCursor, ...request.freshness }).slice(1),
      )
  })

  app.get('/api/v1/search', (request) => {
    const { rows, nextCursor, pending } = ledger.searchSaid(parseSearch(request.query))
    return { success: true, hits: rows, next_cursor: nextCursor, pending_events: pending }
  })
}

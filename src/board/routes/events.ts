/** `/api/v1/events` and `/api/v1/search`: what happened and what was said, in all sessions. */
import { listDocument, recorded, searchDocumentSchema } from '../../core/documents.ts'
import { envelopeSchema } from '../../core/event-schema.ts'
import type { LedgerReader } from '../../ledger/ledger.ts'
import { eventFilterQuery, searchQuery } from '../query.ts'
import { sendJsonText } from '../send-json.ts'
import type { BoardApp } from '../zod-routes.ts'

const tags = ['Events']

/** Declares them. */
export function eventRoutes(app: BoardApp, { ledger }: { readonly ledger: LedgerReader }): void {
  app.get(
    '/api/v1/events',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Events of all sessions, newest first',
        querystring: eventFilterQuery,
        response: { 200: recorded(listDocument('events', envelopeSchema)) },
      },
    },
    async (request, reply) => {
      const { rows, nextCursor } = ledger.listEvents(request.query)
      // The events' texts go out as they are: parsing and printing them would change numbers and keys.
      return sendJsonText(
        reply,
        `{"success":true,"events":[${rows.join(',')}],` +
          JSON.stringify({ next_cursor: nextCursor, ...request.freshness }).slice(1),
      )
    },
  )

  app.get(
    '/api/v1/search',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'What was said, newest first',
        querystring: searchQuery,
        response: { 200: recorded(searchDocumentSchema) },
      },
    },
    async (request) => {
      const { rows, nextCursor, pending } = ledger.searchSaid(request.query)
      return { success: true as const, hits: rows, next_cursor: nextCursor, pending_events: pending }
    },
  )
}

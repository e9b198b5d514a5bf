/** `/api/v1/sessions/:id/export`: a session's whole record as a file. */
import { Readable } from 'node:stream'
import { z } from 'zod'
import { parseEvent } from '../../core/envelope.ts'
import { EXPORT_FORMATS, type ExportFormat } from '../../core/export-format.ts'
import type { LedgerReader, SessionView } from '../../ledger/ledger.ts'
import { createTranscript, transcriptHead } from '../transcript.ts'
import type { BoardApp } from '../zod-routes.ts'
import { recordedSession, type SessionRoutesParts } from './sessions.ts'

const querySchema = z.strictObject({
  format: z.enum(EXPORT_FORMATS, { error: `must be one of ${EXPORT_FORMATS.join(', ')}` }).default('ndjson'),
})

const FORMATS = {
  ndjson: { type: 'application/x-ndjson; charset=utf-8', ending: 'ndjson' },
  markdown: { type: 'text/markdown; charset=utf-8', ending: 'md' },
} as const satisfies Record<ExportFormat, object>

/** Events that are read at once: what one page may hold of the process. */
const PAGE = 200

/** Declares it. */
export function exportRoutes(
  app: BoardApp,
  parts: Pick<SessionRoutesParts, 'ledger' | 'store' | 'recorder'>,
): void {
  app.get(
    '/api/v1/sessions/:id/export',
    {
      exposeHeadRoute: false,
      config: {
        scope: 'read',
        texts: {
          'application/x-ndjson': 'One event per line, as it was published.',
          'text/markdown': 'The session as a person reads it.',
        },
      },
      schema: {
        tags: ['Sessions'],
        summary: "A session's whole record as a file",
        params: z.object({ id: z.string() }),
        querystring: querySchema,
      },
    },
    async (request, reply) => {
      const { format } = request.query
      const session = await recordedSession(parts, request.params.id)
      const { type, ending } = FORMATS[format]
      return await reply
        .header('content-type', type)
        .header('content-disposition', `attachment; filename="${session.session_id}.${ending}"`)
        // Pulled as fast as the client takes it: a page of events is in memory, never the session.
        .send(
          Readable.from(format === 'ndjson' ? lines(parts.ledger, session) : markdown(parts.ledger, session)),
        )
    },
  )
}

function* texts(ledger: LedgerReader, sessionId: string): Generator<string, void, void> {
  for (let after = 0; ;) {
    const { events, next } = ledger.events.page(sessionId, after, PAGE)
    yield* events
    if (events.length === 0) return
    after = next
  }
}

async function* lines(ledger: LedgerReader, { session_id }: SessionView): AsyncGenerator<string, void, void> {
  // A line break inside JSON text is white space, but would end the line.
  for (const text of texts(ledger, session_id)) yield `${text.replaceAll(/[\r\n]/g, ' ')}\n`
}

async function* markdown(ledger: LedgerReader, session: SessionView): AsyncGenerator<string, void, void> {
  yield transcriptHead(session)
  const transcript = createTranscript()
  for (const text of texts(ledger, session.session_id)) {
    const said = transcript.of(parseEvent(text))
    if (said !== '') yield said
  }
}

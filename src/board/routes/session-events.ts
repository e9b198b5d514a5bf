/** `/api/v1/sessions/:id/events`: a JSON page, or a stream of Server-Sent Events. */
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { eventsDocumentSchema, type Freshness } from '../../core/documents.ts'
import type { Waits } from '../../producer/waits.ts'
import { followEvents, type FeedItem, type FeedOptions, type FeedParts } from '../event-feed.ts'
import { sessionEventsQuery } from '../query.ts'
import { waitHeaders } from '../headers.ts'
import { askingSession } from '../principal.ts'
import { sendAsIs, sendJsonText } from '../send-json.ts'
import type { BoardApp } from '../zod-routes.ts'
import { recordedSession, type SessionRoutesParts } from './sessions.ts'

export interface EventRoutesParts extends Omit<SessionRoutesParts, 'spawn'> {
  readonly feed: FeedParts
  readonly waits: Pick<Waits, 'begin'>
  /** Proxies and browsers drop a stream that says nothing; a comment is sent after so long. */
  readonly heartbeatMs: number
  /** `signal`, and when whoever asks may not any more. */
  readonly untilRevoked: (request: FastifyRequest, signal: AbortSignal) => AbortSignal
}

const DEFAULT_PAGE = 200
/** How soon a browser comes back after a cut, in milliseconds. */
const RETRY_MS = 1000

export function sessionEventRoutes(app: BoardApp, parts: EventRoutesParts): void {
  app.get(
    '/api/v1/sessions/:id/events',
    {
      exposeHeadRoute: false,
      config: {
        scope: 'read',
        texts: {
          'text/event-stream':
            'With `Accept: text/event-stream`: what is recorded, then live. `id` is the `seq`, `data` the event; ' +
            '`Last-Event-ID` resumes. The last one is `event: end`.',
        },
      },
      schema: {
        tags: ['Sessions'],
        summary: "A session's events: a page, or a stream",
        headers: waitHeaders,
        params: z.object({ id: z.string() }),
        querystring: sessionEventsQuery,
        response: { 200: eventsDocumentSchema },
      },
    },
    async (request, reply) => {
      const { after = 0, limit = DEFAULT_PAGE } = request.query
      const { session_id } = await recordedSession(parts, request.params.id)
      if (!(request.headers.accept ?? '').includes('text/event-stream')) {
        return sendPage(reply, parts.feed.events.page(session_id, after, limit), request.freshness)
      }
      const signal = parts.untilRevoked(request, parts.untilGone(reply))
      const waiter = request.headers['drover-wait'] === undefined ? null : askingSession(request)
      if (waiter !== null) untilAborted(signal, await parts.waits.begin(waiter, session_id))
      const stream = serverSentEvents(parts.feed, session_id, {
        after: lastEventId(request.headers['last-event-id']) ?? after,
        idleMs: parts.heartbeatMs,
        signal,
      })
      reply
        .header('content-type', 'text/event-stream; charset=utf-8')
        .header('cache-control', 'no-cache, no-transform')
        .header('x-accel-buffering', 'no')
      // Pulled as fast as the client takes it, no faster.
      return sendAsIs(reply, Readable.from(stream))
    },
  )
}

/** Also where that was a moment ago. */
function untilAborted(signal: AbortSignal, end: () => void): void {
  if (signal.aborted) end()
  else signal.addEventListener('abort', end, { once: true })
}

/** The events' texts go out as they are: parsing and printing them would change numbers and keys. */
function sendPage(
  reply: FastifyReply,
  { events, next, ended }: { events: readonly string[]; next: number; ended: boolean },
  freshness: Freshness | null,
): Promise<never> {
  const rest = JSON.stringify({ next, ended, ...freshness }).slice(1)
  return sendJsonText(reply, `{"success":true,"events":[${events.join(',')}],${rest}`)
}

async function* serverSentEvents(
  feed: FeedParts,
  sessionId: string,
  options: FeedOptions,
): AsyncGenerator<string, void, void> {
  yield `retry: ${RETRY_MS}\n\n`
  for await (const item of followEvents(feed, sessionId, options)) yield frameOf(item)
}

function frameOf(item: FeedItem): string {
  switch (item.kind) {
    case 'event':
      // A line break inside JSON text is white space, but would end the frame's line.
      return `id: ${item.seq}\ndata: ${item.text.replaceAll(/[\r\n]/g, ' ')}\n\n`
    case 'idle':
      return ': still here\n\n'
    case 'end':
      return `event: end\ndata: {"next":${item.seq}}\n\n`
  }
}

/** Anything else than a number of ours is ignored: a browser sends whatever it got before. */
function lastEventId(header: unknown): number | null {
  return typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : null
}

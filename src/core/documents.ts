/** Documents around the rows: lists, pages of events, and how old an answer is. */
import { z } from 'zod'
import { envelopeSchema } from './event-schema.ts'
import { listOf, time } from './schema.ts'

/** How old an answer from the ledger is; in every document that a GET reads from it. */
export const freshnessSchema = z.object({
  as_of: time.nullable().describe('All that happened until then is in it.'),
  stale_seconds: z.number().nullable().describe('How long ago that was; null where it is not known.'),
})
export type Freshness = Readonly<z.infer<typeof freshnessSchema>>

const nextCursor = z.string().nullable().describe('`cursor` of the next page; null on the last one.')

/** A page of a list: `{"success": true, "sessions": […], "next_cursor": …}`. */
export function listDocument<Name extends string, Row extends z.ZodType>(name: Name, row: Row) {
  const rows = { [name]: listOf(row) } as Record<Name, ReturnType<typeof listOf<Row>>>
  return z.object({ success: z.literal(true), ...rows, next_cursor: nextCursor })
}

/** A document from the ledger. How old it is is added on the way out. */
export function recorded<Shape extends z.ZodRawShape>(document: z.ZodObject<Shape>) {
  return document.extend(freshnessSchema.partial().shape)
}

/** `GET /sessions/:id/events` */
export const eventsDocumentSchema = recorded(
  z.object({
    success: z.literal(true),
    events: listOf(envelopeSchema),
    next: z.int().describe('`after` of the next page.'),
    ended: z.boolean().describe('The session has ended and this page has its last event.'),
  }),
).meta({ id: 'EventsPage' })

/** Something that was said, with a searched word in it. */
export const saidHitSchema = z
  .object({
    session_id: z.string(),
    agent_id: z.string().nullable(),
    agent_type: z.string(),
    seq: z.int(),
    ts: time,
    type: z
      .string()
      .describe(
        'Of the event: claude.assistant, claude.user (what a tool answered), drover.session.accepted (the prompt) …',
      ),
    snippet: z.string().describe('The text around the first match. Untrusted, with its line breaks.'),
    matches: listOf(z.tuple([z.int(), z.int()]).readonly()).describe(
      'Where the matches are in snippet: from, to (exclusive), in UTF-16 units.',
    ),
  })
  .meta({ id: 'SaidHit' })
export type SaidHit = Readonly<z.infer<typeof saidHitSchema>>

/** `GET /search` */
export const searchDocumentSchema = z.object({
  success: z.literal(true),
  hits: listOf(saidHitSchema),
  next_cursor: nextCursor,
  pending_events: z.int().describe('Events that are recorded and not searched yet.'),
})

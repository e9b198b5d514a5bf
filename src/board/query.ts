/** Query strings and headers, checked: what a list takes, what an id may be. */
import { z } from 'zod'
import { invalidRequest } from '../core/errors.ts'
import { nearest } from '../core/ids.ts'
import { parseRequest } from '../core/request.ts'
import { FAILURE_REASONS } from '../core/state.ts'
import { CURSOR_RULE, isCursor, isLimit, isTime, LIMIT_RULE, TIME_RULE } from '../ledger/list.ts'
import type { EventFilter, ListQuery, SaidFilter } from '../ledger/ledger.ts'

const one = z.string({ error: 'must be given once' })

const time = one.refine(isTime, TIME_RULE).optional()

/** What all lists take. The ledger checks it too; here, so that all that is wrong is said at once. */
const page = {
  limit: one
    .transform((text) => (text.trim() === '' ? Number.NaN : Number(text)))
    .refine(isLimit, LIMIT_RULE)
    .optional(),
  cursor: one.refine(isCursor, CURSOR_RULE).optional(),
  since: time,
  until: time,
}

/** Filters of one list and not of another. */
export type OwnFilter = keyof typeof OWN_FILTERS

/** `?limit&cursor&status&agent_type&task_id&since&until&q`, and what this list has beside them. */
function listSchema(states: readonly string[], own: readonly OwnFilter[]) {
  return z.strictObject({
    ...page,
    status: severalOf(states).optional(),
    agent_type: one.optional(),
    task_id: one.optional(),
    q: one.optional(),
    ...Object.fromEntries(own.map((name) => [name, OWN_FILTERS[name].optional()])),
  })
}

/** `running`, or `queued,running`. */
function severalOf(states: readonly string[]) {
  const unknown = (text: unknown): string | undefined =>
    String(text)
      .split(',')
      .find((state) => !states.includes(state))
  return one.refine((text) => unknown(text) === undefined, {
    error: ({ input }) => {
      const rule = `must be one of ${states.join(', ')}, or several with commas between them`
      const near = nearest(unknown(input) ?? '', states)
      return near === null ? rule : `${rule}; did you mean "${near}"?`
    },
  })
}

const OWN_FILTERS = {
  session_id: one,
  pod_id: one,
  created_by: one,
  orchestrator_id: one,
  failure_reason: z.enum(FAILURE_REASONS, { error: ({ input }) => reasonRule(String(input)) }),
} as const

function reasonRule(given: string): string {
  const near = nearest(given, FAILURE_REASONS)
  return `must be one of ${FAILURE_REASONS.join(', ')}${near === null ? '' : `; did you mean "${near}"?`}`
}

/** A parser of list queries over rows with these states. It throws `invalid_request` with all problems. */
export function createListQueryParser(
  states: readonly string[],
  own: readonly OwnFilter[] = [],
): (query: unknown) => ListQuery {
  const schema = listSchema(states, own)
  return (query) => camelized(parseRequest(schema, query))
}

/** `agent_type` as `agentType`; what was not given is left out. */
function camelized(given: Readonly<Record<string, unknown>>): object {
  const entries = Object.entries(given).filter(([, value]) => value !== undefined)
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ]),
  )
}

const eventFilter = {
  ...page,
  session_id: one.optional(),
  agent_id: one.optional(),
  agent_type: one.optional(),
  type: one
    .regex(/^[a-z_]+(\.[a-z_]+)*$/i, 'must be an event type, or its first words, such as drover.session')
    .optional(),
}
const eventFilterSchema = z.strictObject(eventFilter)
const searchSchema = z.strictObject({ ...eventFilter, q: one.default('') })

/** `?limit&cursor&session_id&agent_id&agent_type&type&since&until` */
export function parseEventFilter(query: unknown): EventFilter {
  return camelized(parseRequest(eventFilterSchema, query))
}

/** The same and `q`. */
export function parseSearch(query: unknown): SaidFilter {
  const { q, ...filter } = parseRequest(searchSchema, query)
  return { ...camelized(filter), q }
}

const whole = one.regex(/^\d{1,15}$/, 'must be a whole number').transform(Number)

/** `?after=<seq>&limit=` of a session's events. */
export const eventsQuerySchema = z.strictObject({ after: whole.optional(), limit: whole.optional() })

/** 1 to 200 printable characters. */
const IDEMPOTENCY_KEY = /^[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?$/

/** The `Idempotency-Key` header; null without one. */
export function idempotencyKeyOf(header: string | readonly string[] | undefined): string | null {
  if (header === undefined) return null
  if (typeof header === 'string' && IDEMPOTENCY_KEY.test(header)) return header
  throw invalidRequest([{ path: 'Idempotency-Key', message: 'must be 1 to 200 printable characters' }])
}

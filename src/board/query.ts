/** Query strings: what lists take. */
import { z } from 'zod'
import { nearest } from '../core/ids.ts'
import { MAIL_STATES } from '../core/mail.ts'
import { FAILURE_REASONS } from '../core/state.ts'
import { COST_BY } from '../core/request.ts'
import { COST_LIMIT_RULE, isCostLimit } from '../ledger/cost-view.ts'
import {
  CURSOR_RULE,
  DEFAULT_LIMIT,
  isCursor,
  isLimit,
  isTime,
  LIMIT_RULE,
  MAX_LIMIT,
  TIME_RULE,
} from '../ledger/list.ts'
import type { EventFilter, ListQuery, MessageQuery, SaidFilter } from '../ledger/ledger.ts'
import { DEFAULT_GRAPH_NODES, MAX_GRAPH_NODES } from '../ledger/task-graph.ts'

const one = z.string({ error: 'must be given once' })

/** A number, in the words of its rule. */
function numeric(isRight: (value: number) => boolean, rule: string) {
  return one.transform((text) => (text.trim() === '' ? Number.NaN : Number(text))).refine(isRight, rule)
}

const time = one.refine(isTime, TIME_RULE).optional().describe('An ISO time.')

/** What all lists take. The ledger checks it too; here, so that all that is wrong is said at once. */
const page = {
  limit: numeric(isLimit, LIMIT_RULE)
    .optional()
    .meta({ type: 'integer', minimum: 1, maximum: MAX_LIMIT, default: DEFAULT_LIMIT }),
  cursor: one.refine(isCursor, CURSOR_RULE).optional().describe('`next_cursor` of the page before.'),
  since: time,
  until: time,
}

const GRAPH_LIMIT_RULE = `must be a whole number from 1 to ${MAX_GRAPH_NODES}`

/** `?task_id&limit` of the graph of tasks. */
export const graphQuery = z.strictObject({
  task_id: one.optional().describe('Only this one, what it waits for, and what waits for it.'),
  limit: numeric(
    (count) => Number.isInteger(count) && count >= 1 && count <= MAX_GRAPH_NODES,
    GRAPH_LIMIT_RULE,
  )
    .optional()
    .meta({
      type: 'integer',
      minimum: 1,
      maximum: MAX_GRAPH_NODES,
      default: DEFAULT_GRAPH_NODES,
      description: 'Most tasks; the newest are taken.',
    }),
})

/** Filters of one list and not of another. */
export type OwnFilter = keyof typeof OWN_FILTERS

/** `?limit&cursor&status&agent_type&task_id&since&until&q`, and what a list has beside them. */
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
  id_prefix: one
    .regex(/^[0-9a-f][0-9a-f-]{0,35}$/i, 'must be the beginning of a session id: hex digits and dashes')
    .toLowerCase()
    .describe('Whose id begins so.'),
  failure_reason: z.enum(FAILURE_REASONS, { error: ({ input }) => reasonRule(String(input)) }),
} as const

function reasonRule(given: string): string {
  const near = nearest(given, FAILURE_REASONS)
  return `must be one of ${FAILURE_REASONS.join(', ')}${near === null ? '' : `; did you mean "${near}"?`}`
}

/** The query of a list whose rows have these states. */
export function listQuery(states: readonly string[], own: readonly OwnFilter[] = []) {
  return listSchema(states, own).transform((query): ListQuery => camelized(query))
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

/** `?limit&cursor&session_id&agent_id&agent_type&type&since&until` */
export const eventFilterQuery = z
  .strictObject(eventFilter)
  .transform((query): EventFilter => camelized(query))

/** The filters of events, and `q`: the words to search for. */
export const searchQuery = z
  .strictObject({
    ...eventFilter,
    q: one.default('').describe('Words and "quoted phrases", all of which were said in the same event.'),
  })
  .transform(({ q, ...filter }): SaidFilter => ({ ...camelized(filter), q }))

/** The filters of lists of messages between agents. */
export const messageQuery = z
  .strictObject({
    ...page,
    status: severalOf(MAIL_STATES).optional(),
    session_id: one.optional().describe('Sent by this session, for it, or read by it.'),
    from_session: one.optional(),
    to_session: one.optional(),
    to_agent_type: one.optional().describe('For this agent type, or for a session of it.'),
    to_operator: z
      .enum(['true', 'false'], { error: 'must be true or false' })
      .transform((text) => text === 'true')
      .optional(),
    thread_id: one.optional(),
  })
  .transform((query): MessageQuery => camelized(query))

const whole = one
  .regex(/^\d{1,15}$/, 'must be a whole number')
  .transform(Number)
  .optional()
  .meta({ type: 'integer', minimum: 0 })

/** `?after=<seq>&limit=` of a session's events. */
export const sessionEventsQuery = z.strictObject({ after: whole, limit: whole })

/** `?by&since&limit&cursor` of what was spent. */
export const costQuery = z.strictObject({
  by: z.enum(COST_BY, { error: `must be one of ${COST_BY.join(', ')}` }).default('agent_type'),
  since: time,
  limit: numeric(isCostLimit, COST_LIMIT_RULE).optional().meta({ type: 'integer', minimum: 1 }),
  cursor: page.cursor,
})

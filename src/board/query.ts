/** Query strings and headers, checked: what a list takes, what an id may be. */
import { z } from 'zod'
import { invalidRequest } from '../core/errors.ts'
import { parseRequest } from '../core/request.ts'
import type { ListQuery } from '../ledger/ledger.ts'

const one = z.string({ error: 'must be given once' })

/** `?limit&cursor&status&agent_type&task_id&since&q`; limit, cursor and time are checked by the ledger. */
function listSchema(states: readonly string[]) {
  return z.strictObject({
    limit: one.transform((text) => (text.trim() === '' ? Number.NaN : Number(text))).optional(),
    cursor: one.optional(),
    status: one.refine((text) => states.includes(text), `must be one of ${states.join(', ')}`).optional(),
    agent_type: one.optional(),
    task_id: one.optional(),
    since: one.optional(),
    q: one.optional(),
  })
}

/** A parser of list queries over rows with these states. It throws `invalid_request` with all problems. */
export function createListQueryParser(states: readonly string[]): (query: unknown) => ListQuery {
  const schema = listSchema(states)
  return (query) => {
    const { agent_type, task_id, ...rest } = parseRequest(schema, query)
    const given = { ...rest, agentType: agent_type, taskId: task_id }
    return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  }
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

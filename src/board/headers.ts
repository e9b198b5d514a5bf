/** Headers that requests are asked with. */
import { z } from 'zod'
import { SESSION_ID_PATTERN } from '../core/ids.ts'
import { idempotencyKeySchema } from '../core/request.ts'

/** The headers of every request that asks for something: the session whose agent asks. */
export const callerHeaders = z.looseObject({
  'drover-session': z
    .string()
    .regex(SESSION_ID_PATTERN, 'must be the id of a session, a UUID in lower case')
    .optional()
    .describe('The session whose agent asks, as it says.'),
})

const key = idempotencyKeySchema.optional()

/** The same for requests whose end an agent may wait for. */
export const waitHeaders = callerHeaders.extend({
  'drover-wait': z
    .enum(['started', 'completed'], { error: 'must be started or completed' })
    .optional()
    .describe('The caller follows the session so far: refused where a session would wait for itself.'),
})

/** The same for spawns, which may be repeated under a key. */
export const spawnHeaders = waitHeaders.extend({
  'idempotency-key': key.describe('The same key is the same session, so that the request may be repeated.'),
})
export const sendHeaders = callerHeaders.extend({
  'idempotency-key': key.describe('The same key to the same session is the same message.'),
})

/** `idempotency-key` as `Idempotency-Key`. */
export function headerName(name: string): string {
  return name.replaceAll(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase())
}

/** What a caller of the library says beside what is to be done. */
import { z } from 'zod'
import { httpAddress, redisAddress, type Kind } from '../config/setting.ts'
import { invalidRequest } from '../core/errors.ts'
import { SESSION_ID_PATTERN } from '../core/ids.ts'
import { idempotencyKeySchema } from '../core/request.ts'

/** Of whatever may be asked for twice, or on behalf of a session. */
export const callSchema = z.object({
  idempotencyKey: idempotencyKeySchema.optional(),
  createdBy: z
    .string()
    .regex(SESSION_ID_PATTERN, 'must be the id of a session, a UUID in lower case')
    .optional(),
})

/**
 * The addresses as the clients of Redis and of boards take them.
 *
 * @throws DroverError `invalid_request`
 */
export const redisUrlOf = (redisUrl: string): string => settled(redisAddress, 'redisUrl', redisUrl)
export const boardUrlOf = (url: string): string => settled(httpAddress, 'url', url)

function settled({ schema, settle }: Kind<string>, path: string, value: string): string {
  const parsed = schema.safeParse(value)
  // An address has nothing that would count from a directory.
  if (parsed.success) return settle(parsed.data, '/')
  throw invalidRequest(parsed.error.issues.map(({ message }) => ({ path, message })))
}

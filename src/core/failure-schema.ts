/** The failure document of CONTRACT §3. Apart from `errors.ts`, which everybody loads. */
import { z } from 'zod'
import { ERROR_CODES } from './errors.ts'
import { listOf } from './schema.ts'

/** One problem of a bad input: where it is and what to do about it. */
export const issueSchema = z.object({ path: z.string(), message: z.string() }).meta({ id: 'Issue' })

/** What is known beside it (`session_id`, `retry_after_seconds` …) depends on the code. */
export const failureSchema = z
  .looseObject({
    success: z.literal(false),
    error: z.enum(ERROR_CODES),
    message: z.string().describe('A sentence that says what to do.'),
    issues: listOf(issueSchema).exactOptional().describe('Of invalid_request: all problems at once.'),
  })
  .meta({ id: 'Failure' })

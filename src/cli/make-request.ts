/** A request as the command line gives it. What is wrong with it on this side is said at once, before anything is sent. */
import type { z } from 'zod'
import { DroverError, invalidRequest, isDroverError, type Issue } from '../core/errors.ts'
import { issuesOf } from '../core/request.ts'

/** What has to be read or looked at first. Each throws `invalid_request` where it cannot be used. */
interface Sources {
  readonly prompt: () => Promise<string | null>
  readonly workspace_dir: () => Promise<string | null>
}

/**
 * The request, parsed with `schema`.
 *
 * @param body makes it; what could not be read is undefined in it
 * @throws DroverError `invalid_request` with the problems of the sources and of the schema
 */
export async function makeRequest<S extends z.ZodType>(
  schema: S,
  sources: Sources,
  body: (read: { prompt: string | undefined; workspace_dir: string | undefined }) => unknown,
): Promise<z.output<S>> {
  const problems: Issue[] = []
  const read = async (path: keyof Sources): Promise<string | undefined> => {
    try {
      return (await sources[path]()) ?? undefined
    } catch (error) {
      if (!isDroverError(error) || error.code !== 'invalid_request') throw error
      problems.push({ path, message: error.message })
      return undefined
    }
  }
  const parsed = schema.safeParse(
    body({ prompt: await read('prompt'), workspace_dir: await read('workspace_dir') }),
  )
  if (parsed.success && problems.length === 0) return parsed.data

  const said = new Set(problems.map(({ path }) => path))
  const others = parsed.success ? [] : issuesOf(parsed.error).filter(({ path }) => !said.has(path))
  const [only] = problems
  // One that stands alone is a sentence already.
  if (only !== undefined && problems.length + others.length === 1) {
    throw new DroverError('invalid_request', only.message, { issues: [only] })
  }
  throw invalidRequest([...problems, ...others])
}

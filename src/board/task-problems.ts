/** What is wrong with tasks that are to be added: gathered, so that all of it is said at once, each with its place. */
import { DroverError, isDroverError, type ErrorCode, type Issue } from '../core/errors.ts'

/** The message names so many; `issues` has all. */
const MOST_IN_MESSAGE = 20

export interface TaskProblems {
  /** True for a task that one of the problems is about. */
  readonly has: (index: number) => boolean
  /** @param index of the task in the request; @param member of it, '' for the whole */
  readonly note: (index: number, member: string, error: DroverError) => void
  /** Notes what `check` throws with one of these codes; everything else goes on its way. */
  readonly gather: <T>(
    place: { readonly index: number; readonly member: string },
    codes: readonly ErrorCode[],
    check: () => T | Promise<T>,
  ) => Promise<T | null>
  /** Throws what the first one is, with all of them in `issues`. */
  readonly refuse: () => void
}

export function createTaskProblems(): TaskProblems {
  const places = new Set<number>()
  const errors: DroverError[] = []
  const issues: Issue[] = []

  function note(index: number, member: string, error: DroverError): void {
    places.add(index)
    errors.push(error)
    const path = member === '' ? `tasks.${index}` : `tasks.${index}.${member}`
    issues.push(
      ...issuesIn(error).map((issue) => ({ path: `tasks.${index}.${issue.path}`, message: issue.message })),
    )
    if (issuesIn(error).length === 0) issues.push({ path, message: error.message })
  }

  return {
    has: (index) => places.has(index),
    note,
    async gather({ index, member }, codes, check) {
      try {
        return await check()
      } catch (error) {
        if (!isDroverError(error) || !codes.includes(error.code)) throw error
        note(index, member, error)
        return null
      }
    },
    refuse() {
      const [first] = errors
      if (first === undefined) return
      const message = issues.length === 1 && issuesIn(first).length === 0 ? first.message : listed(issues)
      throw new DroverError(first.code, message, { ...first.details, issues })
    },
  }
}

function issuesIn({ details }: DroverError): readonly Issue[] {
  return Array.isArray(details['issues']) ? (details['issues'] as readonly Issue[]) : []
}

function listed(issues: readonly Issue[]): string {
  const texts = issues
    .slice(0, MOST_IN_MESSAGE)
    .map(({ path, message }) => `${path}: ${message.replace(/\.$/, '')}`)
  const rest = issues.length - texts.length
  return `The request was refused: ${[...texts, ...(rest > 0 ? [`and ${rest} more`] : [])].join('; ')}.`
}

/** What the calls of tools in a transcript are called, until they are answered. */

/** Calls whose answers are waited for. One whose agent was killed is never answered. */
const MOST_CALLS = 10_000
const LONGEST_NAME = 200

/** Of one session, in its order. What it is told is untrusted. */
export interface ToolCalls {
  made(id: unknown, name: string, input: unknown): void
  /** The tool, and what the call says that it is for; empty where it is not known. */
  what(id: string): string
  /** The same, for the last time. */
  answered(id: unknown): string
}

/** No call is known yet. */
export function createToolCalls(): ToolCalls {
  const open = new Map<string, string>()
  const what = (id: string): string => open.get(id) ?? ''
  return {
    made(id, name, input) {
      if (typeof id !== 'string') return
      const description =
        typeof input === 'object' && input !== null && 'description' in input ? input.description : null
      const call = typeof description === 'string' ? `${name}: ${description}` : name
      open.set(id, call.slice(0, LONGEST_NAME))
      const [oldest] = open.keys()
      if (open.size > MOST_CALLS && oldest !== undefined) open.delete(oldest)
    },
    what,
    answered(id) {
      if (typeof id !== 'string') return ''
      const found = what(id)
      open.delete(id)
      return found
    },
  }
}

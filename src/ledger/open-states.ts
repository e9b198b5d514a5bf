import { isEnded, SESSION_STATES } from '../core/state.ts'

/**
 * The states of sessions that have not ended, as a list in SQL. Named one by one, and not as what is left of all, so that
 * SQLite takes the index.
 */
export const OPEN_STATES = `(${SESSION_STATES.filter((state) => !isEnded(state))
  .map((state) => `'${state}'`)
  .join(', ')})`

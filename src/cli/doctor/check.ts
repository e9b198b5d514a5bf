/** One thing that `drover doctor` looked at. */

/** A row of the answer (CONTRACT §3). */
export interface Check {
  readonly name: string
  /** `fail`: Drover does not work like this; `warn`: it does, with a loss that is said. */
  readonly status: 'ok' | 'warn' | 'fail'
  /** What was found. */
  readonly value: string
  /** What to do; null where all is well. */
  readonly fix: string | null
}

/** All is well. */
export function ok(name: string, value: string): Check {
  return { name, status: 'ok', value, fix: null }
}

/** It works, with a loss. */
export function warn(name: string, value: string, fix: string): Check {
  return { name, status: 'warn', value, fix }
}

/** It does not work. */
export function fail(name: string, value: string, fix: string): Check {
  return { name, status: 'fail', value, fix }
}

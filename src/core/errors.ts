/**
 * The error catalogue: every code Drover answers with, its HTTP status and its exit code.
 * `docs/errors.md` lists the same codes; a test keeps the two equal.
 */

/** Exit codes of the command line (CONTRACT §2). */
export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 3, refused: 4, interrupted: 130 } as const

interface CatalogueEntry {
  readonly http: number
  readonly exit: number
}

export const ERROR_CATALOGUE = {
  invalid_request: { http: 400, exit: EXIT.usage },
  unauthorized: { http: 401, exit: EXIT.refused },
  forbidden: { http: 403, exit: EXIT.refused },
  agent_type_not_found: { http: 404, exit: EXIT.usage },
  task_not_found: { http: 404, exit: EXIT.usage },
  session_not_found: { http: 404, exit: EXIT.usage },
  agent_not_found: { http: 404, exit: EXIT.usage },
  message_not_found: { http: 404, exit: EXIT.usage },
  worktree_not_found: { http: 404, exit: EXIT.usage },
  worktree_refused: { http: 409, exit: EXIT.refused },
  merge_conflict: { http: 409, exit: EXIT.refused },
  question_not_found: { http: 404, exit: EXIT.usage },
  singleton_violation: { http: 409, exit: EXIT.refused },
  task_not_ready: { http: 409, exit: EXIT.refused },
  dependencies_incomplete: { http: 409, exit: EXIT.refused },
  dependency_cycle: { http: 409, exit: EXIT.refused },
  idempotency_conflict: { http: 409, exit: EXIT.refused },
  /** A session may not start so many sessions, or not so deep (`core/lineage.ts`). */
  lineage_limit: { http: 409, exit: EXIT.refused },
  /** A session would wait for one that waits for its own slot. */
  self_deadlock: { http: 409, exit: EXIT.refused },
  session_ended: { http: 409, exit: EXIT.refused },
  inbox_full: { http: 409, exit: EXIT.refused },
  session_not_running: { http: 409, exit: EXIT.refused },
  already_answered: { http: 409, exit: EXIT.refused },
  max_retries_exceeded: { http: 409, exit: EXIT.refused },
  non_retryable_error: { http: 409, exit: EXIT.refused },
  budget_exceeded: { http: 402, exit: EXIT.refused },
  resource_exhaustion: { http: 503, exit: EXIT.refused },
  redis_unavailable: { http: 503, exit: EXIT.unreachable },
  ledger_unavailable: { http: 503, exit: EXIT.unreachable },
  /** The client's own: nobody answers at `DROVER_URL`. Never sent over HTTP. */
  board_unavailable: { http: 503, exit: EXIT.unreachable },
  /** A port that Drover was told to use is taken. Never sent over HTTP. */
  port_in_use: { http: 500, exit: EXIT.unreachable },
  /** Redis, the CLI or another tool is missing and could not be fetched. Never sent over HTTP. */
  setup_failed: { http: 500, exit: EXIT.unreachable },
  spawn_failed: { http: 500, exit: EXIT.failed },
  startup_timeout: { http: 504, exit: EXIT.failed },
  session_failed: { http: 200, exit: EXIT.failed },
  process_not_found: { http: 500, exit: EXIT.failed },
  kill_failed: { http: 500, exit: EXIT.failed },
  cleanup_failed: { http: 500, exit: EXIT.failed },
  internal_error: { http: 500, exit: EXIT.failed },
} as const satisfies Record<string, CatalogueEntry>

/** A stable error code. New ones are added to the catalogue and to `docs/errors.md`, never renamed. */
export type ErrorCode = keyof typeof ERROR_CATALOGUE
/** All of them. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a constant
export const ERROR_CODES = Object.keys(ERROR_CATALOGUE) as [ErrorCode, ...ErrorCode[]]

/** One problem of a bad input: where it is and what to do about it. */
export interface Issue {
  readonly path: string
  readonly message: string
}

const BRAND = Symbol.for('drover.error')

/**
 * The one error class of Drover. `message` is a sentence that says what happened, to what, and what to do;
 * `details` are the extra members of the JSON answer (snake_case, CONTRACT §3).
 */
export class DroverError extends Error {
  readonly code: ErrorCode
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    code: ErrorCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.name = 'DroverError'
    this.code = code
    this.details = details
    Object.defineProperty(this, BRAND, { value: true })
  }

  get httpStatus(): number {
    return ERROR_CATALOGUE[this.code].http
  }

  get exitCode(): number {
    return ERROR_CATALOGUE[this.code].exit
  }

  /** The failure document of CONTRACT §3. Of bad input it always lists the `issues`, also where there is only one. */
  toAnswer(): FailureAnswer {
    const issues = this.code === 'invalid_request' ? { issues: [{ path: '', message: this.message }] } : {}
    return { success: false, error: this.code, message: this.message, ...issues, ...this.details }
  }
}

/** `{"success": false, "error": "<code>", "message": "<sentence>", …}` */
export interface FailureAnswer {
  readonly success: false
  readonly error: ErrorCode
  readonly message: string
  readonly [detail: string]: unknown
}

/** Works across realms and copies of the package, where `instanceof` does not. */
export function isDroverError(value: unknown): value is DroverError {
  return typeof value === 'object' && value !== null && BRAND in value
}

/** `invalid_request` with every problem of the input at once. */
export function invalidRequest(issues: readonly Issue[]): DroverError {
  const text = issues
    .map(({ path, message }) => (path ? `${path}: ${message}` : message).replace(/\.$/, ''))
    .join('; ')
  const end = text.endsWith('?') ? '' : '.'
  return new DroverError('invalid_request', `The request was refused: ${text}${end}`, { issues })
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

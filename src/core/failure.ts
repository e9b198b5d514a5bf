/**
 * Why an agent failed, read from what the CLI left behind. The texts, codes and exit statuses are those of CLI
 * 2.1.329 (measured); `docs/outcomes.md` has them as a table. Order matters: the first rule that fits decides.
 */
import { quoteText } from './cut-text.ts'
import type { FailureReason } from './state.ts'
import type { ResultFacts, StreamFacts } from './stream-facts.ts'

/**
 * What may follow an end:
 *
 * - `never`: the same would happen again, or somebody asked for this end
 * - `again`: with `--resume` after a back-off; costs a try
 * - `fresh`: at once, with `--session-id`, because there is no conversation to resume; costs no try
 * - `resume`: at once, with `--resume`, because the conversation exists already; costs no try
 * - `hand_over`: with `--resume`, here or on another pod; costs no try, because nothing was wrong with the agent
 * - `no_room`: as `hand_over`, but not at once: the disk that it worked on is full; costs no try
 * - `pauseUntil`: a usage limit; go on when it resets (null: it does not say when); costs no try
 */
export type Retry =
  'never' | 'again' | 'fresh' | 'resume' | 'hand_over' | 'no_room' | { readonly pauseUntil: Date | null }

export interface Failure {
  readonly reason: FailureReason
  readonly retry: Retry
  /** Says what happened, to what, and what to do. */
  readonly message: string
}

/** The process as it ended; both null when nobody saw it end. */
export interface Exit {
  readonly code: number | null
  readonly signal: string | null
}

/** The failure behind a result with `is_error`. */
export function failureOfResult(result: ResultFacts, facts: StreamFacts, exit: Exit | null): Failure {
  const said = [result.text ?? '', result.errors].filter((text) => text !== '').join('\n')
  return (
    startFailure(result.errors, result.startupFailureReason) ??
    limitOfSpec(result, said) ??
    interruption(result, exit) ??
    apiFailure(result, facts, said) ?? {
      reason: 'agent_error',
      retry: 'again',
      message: `The agent stopped in the middle of its turn${quoted(said)}.`,
    }
  )
}

/** The failure of a process that ended without a result that stands. */
export function failureOfSilence(facts: StreamFacts, exit: Exit | null, stderrTail: string): Failure {
  const known = facts.sawInit ? null : startFailure(stderrTail, null)
  return known ?? accountFailure(facts.assistantError, null, null, '') ?? brokenOff(facts, exit, stderrTail)
}

/** The failure of a process that could not be started: what the guard said about it. */
export function failureOfSpawn(problem: string): Failure {
  const permanent = PERMANENT_SPAWN_PROBLEM.test(problem)
  return {
    reason: 'spawn_failed',
    retry: FULL_DISK.test(problem) ? 'no_room' : permanent ? 'never' : 'again',
    message: `The agent's process could not be started${quoted(problem)}.`,
  }
}

/** Wrong paths, rights and sizes do not mend themselves; a lack of processes, files or memory may. */
const PERMANENT_SPAWN_PROBLEM =
  /\b(ENOENT|EACCES|EPERM|ENOTDIR|EISDIR|E2BIG|ENOEXEC|ELOOP|ENAMETOOLONG|ERR_INVALID_ARG_\w+)\b|does not exist|not a directory|not executable|may not be executed|not found/i

const FULL_DISK = /\b(EDQUOT|ENOSPC)\b|no space left on device|disk quota exceeded/i

/** Does the machine lack something for a while, as far as the system's words say: room on its disk, memory, files? */
export function isPassingProblem(problem: string): boolean {
  return PASSING_PROBLEM.test(problem)
}

const PASSING_PROBLEM =
  /\b(EAGAIN|EDQUOT|EMFILE|ENFILE|ENOMEM|ENOSPC)\b|no space left on device|disk quota exceeded|too many open files|cannot allocate memory/i

/** What the CLI says when it refuses to start: wrong flags, ids and files, all of them Drover's or the spec's. */
const REFUSED_TO_START: readonly RegExp[] = [
  /^error: (unknown option|unknown command|option '|missing required|required option|too many arguments)/m,
  /Invalid session ID/,
  /requires a valid session ID/,
  /--session-id with --continue or --resume/,
  /--agent '.*' not found/,
  /Invalid --agents configuration/,
  /Invalid MCP configuration/,
  /Settings file not found/,
  /system prompt file not found/i,
  /Error processing --/,
  /^Error: --\S+ is not valid/m,
  /Configuration error in /,
  /cannot be used with root\/sudo privileges/,
  /requires --verbose/,
  /Input must be provided either through stdin/,
  /stdin input exceeds/,
  /Can only use --worktree in a git repository/,
  /current directory no longer exists/,
  /claude native binary not installed/,
]

function startFailure(said: string, startupFailureReason: string | null): Failure | null {
  if (/No conversation found/.test(said)) {
    return {
      reason: 'spawn_failed',
      retry: 'fresh',
      message: 'The CLI has no conversation to resume; the session starts again from its prompt.',
    }
  }
  if (/Session ID \S+ is already in use/.test(said)) {
    return {
      reason: 'spawn_failed',
      retry: 'resume',
      message: 'The CLI already has a conversation under this session id; the session resumes it.',
    }
  }
  if (startupFailureReason === null && !REFUSED_TO_START.some((pattern) => pattern.test(said))) return null
  const named = startupFailureReason === null ? '' : ` (${quoteText(startupFailureReason)})`
  return {
    reason: 'invalid_config',
    retry: 'never',
    message: `The CLI refused to start${named}${quoted(said)}. Correct the agent's spec or the CLI's settings.`,
  }
}

function limitOfSpec(result: ResultFacts, said: string): Failure | null {
  switch (result.subtype ?? '') {
    case 'error_max_turns':
      return {
        reason: 'max_turns',
        retry: 'never',
        message: `The agent reached its turn limit${quoted(said)}. Raise max_turns in its spec, or ask for less.`,
      }
    case 'error_max_budget_usd':
      return {
        reason: 'budget_exceeded',
        retry: 'never',
        message: `The agent reached its budget${quoted(said)}. Raise max_budget_usd in its spec, or ask for less.`,
      }
    case 'error_max_structured_output_retries':
      return {
        reason: 'agent_error',
        retry: 'never',
        message: `The agent did not produce the structured output it was asked for${quoted(said)}.`,
      }
    default:
      return null
  }
}

/**
 * A turn that was broken off from outside. An interrupt over standard input leaves the CLI running, and as the last
 * turn it exits 1; SIGINT exits 0 at once. Only the first was somebody's wish.
 */
function interruption(result: ResultFacts, exit: Exit | null): Failure | null {
  if (result.terminalReason === null || !result.terminalReason.startsWith('aborted_')) return null
  if (exit?.code === 1) {
    return {
      reason: 'cancelled',
      retry: 'never',
      message: 'The last turn was interrupted, and no message followed.',
    }
  }
  return {
    reason: 'crashed',
    retry: 'again',
    message: `The turn was broken off from outside (${exitText(exit)}).`,
  }
}

function apiFailure(result: ResultFacts, facts: StreamFacts, said: string): Failure | null {
  const { apiErrorStatus: status, terminalReason } = result
  if (result.stopReason === 'refusal' || REFUSALS.has(result.apiError ?? '')) {
    return {
      reason: 'refused',
      retry: 'never',
      message: `The model refused the request${quoted(said)}. Say differently what is asked, or choose another model.`,
    }
  }
  const account = accountFailure(facts.assistantError, result, facts.limitResetsAt, said)
  if (account !== null) return account
  if (status === null && facts.assistantError === null && terminalReason !== 'api_error') return null
  const passing = terminalReason === 'api_error' && isPassing(status, facts.assistantError)
  const http = status === null ? '' : ` (HTTP ${status})`
  return {
    reason: 'api_error',
    retry: passing ? 'again' : 'never',
    message: passing
      ? `The model's API failed${http}${quoted(said)}.`
      : `The model's API rejected the request${http}${quoted(said)}. The same request would be rejected again.`,
  }
}

const REFUSALS: ReadonlySet<string> = new Set(['safety_monitor_blocked', 'dlp_request_denied'])
const AUTHENTICATION: ReadonlySet<string> = new Set([
  'authentication_failed',
  'oauth_org_not_allowed',
  'account_on_hold',
  'verification_required',
  'cloud_credential_error',
])
const CREDITS: ReadonlySet<string> = new Set([
  'model_requires_usage_credits',
  'long_context_credits_required',
])
/** The subscription's wordings: "You've hit your weekly limit · resets …", older "usage limit reached|<seconds>". */
const USAGE_LIMIT = /usage limit reached|hit your [\w' -]{0,40}limit/i

/** Failures of the account behind the request: nothing that the agent could do differently. */
function accountFailure(
  error: string | null,
  result: ResultFacts | null,
  resetsAt: number | null,
  said: string,
): Failure | null {
  const status = result?.apiErrorStatus ?? null
  const kind = result?.apiError ?? ''
  if (
    kind === 'usage_limit_reached' ||
    USAGE_LIMIT.test(said) ||
    (error === 'rate_limit' && resetsAt !== null)
  ) {
    return {
      reason: 'usage_limit',
      retry: { pauseUntil: resetOf(said, resetsAt) },
      message: `A usage limit of the account is reached${quoted(said)}. The session goes on when it resets.`,
    }
  }
  if (AUTHENTICATION.has(error ?? '') || status === 401 || status === 403) {
    return {
      reason: 'auth_error',
      retry: 'never',
      message: `The CLI could not authenticate${quoted(said)}. Check ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN of the pod.`,
    }
  }
  if (error === 'billing_error' || status === 402 || CREDITS.has(kind)) {
    return {
      reason: 'billing_error',
      retry: 'never',
      message: `The account cannot pay for the request${quoted(said)}. Check its credit and its plan.`,
    }
  }
  if (error === 'model_not_found') {
    return {
      reason: 'invalid_config',
      retry: 'never',
      message: `The API does not know the model${quoted(said)}. Correct "model" in the agent's spec.`,
    }
  }
  return null
}

/** The reset as the API's headers gave it; else as the old text form has it; else unknown. */
function resetOf(said: string, resetsAt: number | null): Date | null {
  const seconds = resetsAt ?? Number(/limit reached\|(\d{9,11})\b/.exec(said)?.[1] ?? Number.NaN)
  const date = new Date(seconds * 1000)
  return Number.isNaN(date.getTime()) ? null : date
}

/** What the CLI itself retries: time-outs, rates, any server fault, and no answer at all. */
function isPassing(status: number | null, error: string | null): boolean {
  if (status !== null) return status === 408 || status === 429 || status >= 500
  return error !== 'invalid_request' && error !== 'max_output_tokens'
}

function brokenOff(facts: StreamFacts, exit: Exit | null, stderrTail: string): Failure {
  const how = exitText(exit)
  if (exit?.code === 0) {
    return {
      reason: 'no_result',
      retry: 'again',
      message: `The CLI ended without a result (${how})${lastWords(stderrTail)}.`,
    }
  }
  if (exit !== null && exit.code !== null && !facts.sawInit) {
    return {
      reason: 'spawn_failed',
      retry: CANNOT_BE_RUN.has(exit.code) ? 'never' : 'again',
      message: `The CLI ended before it had started (${how})${lastWords(stderrTail)}. "drover doctor" checks it.`,
    }
  }
  return {
    reason: 'crashed',
    retry: 'again',
    message: `The CLI ended in the middle of its work (${how})${lastWords(stderrTail)}.`,
  }
}

/** A shell's words for a program that the kernel cannot run, or whose interpreter is not there: it stays so. */
const CANNOT_BE_RUN: ReadonlySet<number> = new Set([126, 127])

/** The CLI turns some signals into exit codes (measured): 129 SIGHUP, 143 SIGTERM. 137 is a shell's word for SIGKILL. */
const SIGNAL_OF_CODE: Readonly<Record<number, string>> = {
  129: 'SIGHUP',
  130: 'SIGINT',
  137: 'SIGKILL',
  143: 'SIGTERM',
}

function exitText(exit: Exit | null): string {
  if (exit === null) return 'nobody saw how'
  if (exit.signal !== null) return `killed by ${exit.signal}`
  if (exit.code === null) return 'nobody saw how'
  const signal = SIGNAL_OF_CODE[exit.code]
  return signal === undefined ? `exit code ${exit.code}` : `exit code ${exit.code}, as after ${signal}`
}

function quoted(said: string): string {
  const text = quoteText(said)
  return text === '' ? '' : `: "${text}"`
}

/** The end of stderr, where the reason is. */
function lastWords(stderrTail: string): string {
  return quoted(stderrTail.slice(-500))
}

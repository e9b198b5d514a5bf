/**
 * How an agent ended: a pure function of its lines, its exit and what Drover had asked for, taken when the process
 * is gone and its spool is drained (DESIGN §2.7). `docs/outcomes.md` has the rules as a table.
 *
 * Success is a result with `is_error: false`, never exit 0 alone: SIGINT exits 0. A result that stands is not undone
 * by the way the process was ended afterwards.
 */
import {
  failureOfResult,
  failureOfSilence,
  failureOfSpawn,
  type Exit,
  type Failure,
  type Retry,
} from './failure.ts'
import { inWords } from './mcp-servers.ts'
import type { AgentState, EndState, FailureReason } from './state.ts'
import type { ResultFacts, StreamFacts } from './stream-facts.ts'

export type { Exit, Retry } from './failure.ts'
export { isSettled, NO_FACTS, observe, type StreamFacts } from './stream-facts.ts'

/**
 * What Drover had asked of the agent when it ended, or knows of its end; null: nothing.
 * `worker_lost`: its worker vanished, and the one that takes over knows no more.
 * `restart`: somebody wants another agent in its place.
 * `mcp_failed`: an MCP server that its spec requires is not there.
 * `end`: its result was there and its input closed, but it did not exit.
 */
export type Asked =
  | null
  | 'cancel'
  | 'timeout'
  | 'stalled'
  | 'startup_timeout'
  | 'drain'
  | 'lease_lost'
  | 'guard_lost'
  | 'worker_lost'
  | 'restart'
  | 'mcp_failed'
  | 'end'

export interface OutcomeInput {
  readonly facts: StreamFacts
  /** null when nobody saw the process end, or there was none. */
  readonly exit: Exit | null
  readonly asked: Asked
  readonly stderrTail: string
  /** Why the process could not be started; null when it was. */
  readonly spawnError: string | null
  /** What the disk that it worked on lacked when it ended, in words; nothing: it had room. */
  readonly diskShortage?: string | null
}

export interface Outcome {
  /** The session's end, if `retry` or its limits let nothing follow. */
  readonly status: EndState
  /** null only where `status` is `completed`. */
  readonly failureReason: FailureReason | null
  /** A sentence for people. */
  readonly message: string
  readonly retry: Retry
  readonly agentStatus: AgentState
  /** The agent's final text: of its last result, where that is no error. */
  readonly output: string | null
  /** Turns of all results of this agent. */
  readonly numTurns: number
  readonly permissionDenials: readonly unknown[]
}

/** Never throws; the same input has the same outcome. */
export function classifyOutcome(input: OutcomeInput): Outcome {
  const found = classify(input)
  // Whatever it looked like: on a full disk a CLI crashes, hangs, or prints half a line, and would do so again.
  if (found.retry !== 'again' || input.diskShortage == null) return found
  return { ...found, retry: 'no_room', message: `${found.message} Its disk is full: ${input.diskShortage}.` }
}

function classify(input: OutcomeInput): Outcome {
  const result = standingResult(input)
  if (result !== null && !result.isError) {
    return outcome(input, 'completed', null, 'The agent finished its work.', 'never', 'completed')
  }
  if (input.asked !== null && input.asked !== 'end' && outranks(input.asked, result)) {
    const { status, reason, message, retry, agent } = ASKED[input.asked]
    const named = input.asked === 'mcp_failed' ? `${message} ${inWords(input.facts.mcpServers)}` : message
    return outcome(input, status, reason, named, retry, agent)
  }
  const failure = failureOf(input, result)
  const status = failure.reason === 'cancelled' ? 'cancelled' : 'failed'
  const agentStatus = status === 'cancelled' ? 'killed' : 'failed'
  return outcome(input, status, failure.reason, failure.message, failure.retry, agentStatus)
}

function outcome(
  { facts }: OutcomeInput,
  status: EndState,
  failureReason: FailureReason | null,
  message: string,
  retry: Retry,
  agentStatus: AgentState,
): Outcome {
  return {
    status,
    failureReason,
    message,
    retry,
    agentStatus,
    output: facts.lastResult === null || facts.lastResult.isError ? null : facts.lastResult.text,
    numTurns: facts.billed.num_turns,
    permissionDenials: facts.permissionDenials,
  }
}

/**
 * The last result, where it is the agent's last word. It is not when a further turn has begun, or when one was due
 * and the CLI did not end by itself. After `end` it always is: Drover closed the input because it was there.
 */
function standingResult({ facts, exit, asked }: OutcomeInput): ResultFacts | null {
  const { lastResult, turnOpen, turnDue } = facts
  if (lastResult === null || asked === 'end') return lastResult
  if (turnOpen) return null
  return turnDue && !lastResult.isError && exit?.code !== 0 ? null : lastResult
}

/**
 * A failure that the CLI had reported by itself says more than the kill that came after it. But a cancelled session
 * stays cancelled, and one out of time is not tried again, whatever it had said before.
 */
function outranks(asked: Exclude<Asked, null>, result: ResultFacts | null): boolean {
  if (result === null || asked === 'cancel' || asked === 'timeout') return true
  return result.terminalReason?.startsWith('aborted_') ?? false
}

interface AskedEnd {
  readonly status: EndState
  readonly reason: FailureReason
  readonly retry: Retry
  readonly agent: AgentState
  readonly message: string
}

const ASKED: Readonly<Record<Exclude<Asked, null | 'end'>, AskedEnd>> = {
  cancel: {
    status: 'cancelled',
    reason: 'cancelled',
    retry: 'never',
    agent: 'killed',
    message: 'The session was cancelled.',
  },
  timeout: {
    status: 'failed',
    reason: 'timeout',
    retry: 'never',
    agent: 'killed',
    message: 'The session took longer than its timeout. Give it more time, or ask for less.',
  },
  stalled: {
    status: 'failed',
    reason: 'stalled',
    retry: 'again',
    agent: 'stalled',
    message: 'The agent no longer moved, and was ended.',
  },
  startup_timeout: {
    status: 'failed',
    reason: 'startup_timeout',
    retry: 'again',
    agent: 'killed',
    message:
      'The CLI did not confirm its start in time. MCP servers that are slow to start delay it: raise startup_timeout_seconds in the spec.',
  },
  drain: {
    status: 'failed',
    reason: 'worker_lost',
    retry: 'hand_over',
    agent: 'killed',
    message: 'The pod is going down; the session goes on elsewhere.',
  },
  lease_lost: {
    status: 'failed',
    reason: 'worker_lost',
    retry: 'hand_over',
    agent: 'killed',
    message: "The pod lost the lease of the agent's type and ended the agent; the session goes on elsewhere.",
  },
  guard_lost: {
    status: 'failed',
    reason: 'worker_lost',
    retry: 'hand_over',
    agent: 'killed',
    message: 'The guard of the pod died, and its agents with it.',
  },
  worker_lost: {
    status: 'failed',
    reason: 'worker_lost',
    retry: 'again',
    agent: 'superseded',
    message: 'The worker of the agent died or was cut off, and the agent was ended.',
  },
  // It may be there the next time: a server over the network, or one that was slow.
  mcp_failed: {
    status: 'failed',
    reason: 'spawn_failed',
    retry: 'again',
    agent: 'failed',
    message: 'An MCP server that the spec requires ("require_mcp") is not there.',
  },
  restart: {
    status: 'cancelled',
    reason: 'cancelled',
    retry: 'resume',
    agent: 'killed',
    message: 'Somebody asked for another agent in its place.',
  },
}

function failureOf(input: OutcomeInput, result: ResultFacts | null): Failure {
  if (result !== null) return failureOfResult(result, input.facts, input.exit)
  if (input.spawnError !== null) return failureOfSpawn(input.spawnError)
  return failureOfSilence(input.facts, input.exit, input.stderrTail)
}

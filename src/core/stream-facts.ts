/**
 * What an agent's lines have said so far, folded line by line: all that the outcome and the end of input depend on,
 * in bounded memory, however long the session is.
 *
 * The CLI is untrusted and newer ones print kinds that are not known here: what does not fit is passed over, and
 * nothing throws. Facts of the stream: reference measurements with CLI 2.1.329.
 */
import { cutText } from './cut-text.ts'
import { OUTPUT_LIMIT } from './events.ts'
import { isJsonObject } from './json-object.ts'
import { addResultUsage, NOTHING_USED, usageOfResult, type ResultUsage } from './usage.ts'

/** What counts of a `result` line. Absent members are null. */
export interface ResultFacts {
  /** Anything but an explicit `is_error: false`. `subtype` says nothing: an API failure has `success`. */
  readonly isError: boolean
  readonly subtype: string | null
  /** The agent's final text, or the CLI's sentence about a failure; cut at `OUTPUT_LIMIT`. */
  readonly text: string | null
  /** `errors`, joined and cut. */
  readonly errors: string
  readonly terminalReason: string | null
  readonly stopReason: string | null
  readonly apiErrorStatus: number | null
  /** The CLI's typed kind of an API error, where it has one: `usage_limit_reached` … */
  readonly apiError: string | null
  readonly startupFailureReason: string | null
}

/** `connected`, `failed`, `pending`, `needs-auth` … */
export interface McpServer {
  readonly name: string
  readonly status: string
}

export interface OpenToolCall {
  readonly id: string
  readonly name: string
  /**
   * Signs that it runs: its start as a task, then a line every 30 s. 0 until the first one: a call that waits for
   * another of the same message prints none (measured with Bash, MCP tools and subagents).
   */
  readonly beats: number
}

export interface StreamFacts {
  /** `system/init` was seen: the CLI has started. */
  readonly sawInit: boolean
  /** Model and CLI version as the first init names them. */
  readonly model: string | null
  readonly version: string | null
  /** The MCP servers as the last init names them; bounded in number. */
  readonly mcpServers: readonly McpServer[]
  /** The last result: only the last one counts. */
  readonly lastResult: ResultFacts | null
  /** A turn has begun after the last result (each turn has an init): that result is not the last word. */
  readonly turnOpen: boolean
  /**
   * Work was left when the last result came: a background task, whose end earns a further turn, or a queued message.
   * Stays until that turn begins, also when a kill has ended the task.
   */
  readonly turnDue: boolean
  /** `error` of the main loop's last assistant line: `authentication_failed`, `billing_error`, `rate_limit` … */
  readonly assistantError: string | null
  /** Calls of the main loop without their result, oldest first. A subagent's calls are its task's affair. */
  readonly openToolCalls: readonly OpenToolCall[]
  /** Background shells and subagents that are still running: the CLI goes on after its result. */
  readonly backgroundTasks: number
  /** Of all results, each once: a result lists only its own turn's (measured). Bounded in number and size. */
  readonly permissionDenials: readonly unknown[]
  /** When a usage limit that refused this agent resets, in seconds since 1970; null when none did or it is not said. */
  readonly limitResetsAt: number | null
  /** The sum over all results. */
  readonly billed: ResultUsage
}

export const NO_FACTS: StreamFacts = {
  sawInit: false,
  model: null,
  version: null,
  mcpServers: [],
  lastResult: null,
  turnOpen: false,
  turnDue: false,
  assistantError: null,
  openToolCalls: [],
  backgroundTasks: 0,
  permissionDenials: [],
  limitResetsAt: null,
  billed: NOTHING_USED,
}

const MOST_OPEN_CALLS = 1000
const MOST_DENIALS = 100
/** A denied Write carries the whole file: the list travels in one event and one answer. */
const MOST_DENIAL_CHARACTERS = 10_000
const NAME_LIMIT = 200
const MOST_SERVERS = 100
const ERRORS_LIMIT = 10_000

/** The facts after one more line (parsed; anything that is no object changes nothing). Never throws. */
export function observe(facts: StreamFacts, message: unknown): StreamFacts {
  if (!isJsonObject(message)) return facts
  switch (message['type']) {
    case 'system':
      return observeSystem(facts, message)
    case 'assistant':
      return observeAssistant(facts, message)
    case 'user':
      return observeUser(facts, message)
    case 'result':
      return observeResult(facts, message)
    case 'rate_limit_event':
      return observeLimit(facts, message['rate_limit_info'])
    case 'tool_progress':
      return isOfHook(message) ? facts : beatOf(facts, message['parent_tool_use_id'])
    default:
      return facts
  }
}

/**
 * The agent has said its last word for now: there is a result, no turn is open, nothing runs in the background. Its
 * input may be closed; a turn that is queued runs all the same, and with it the agent is no longer settled.
 */
export function isSettled(facts: StreamFacts): boolean {
  return facts.lastResult !== null && !facts.turnOpen && facts.backgroundTasks === 0
}

function observeSystem(facts: StreamFacts, message: Record<string, unknown>): StreamFacts {
  if (message['subtype'] === 'init') {
    return {
      ...facts,
      sawInit: true,
      model: facts.model ?? nameOf(message['model']),
      version: facts.version ?? nameOf(message['claude_code_version']),
      mcpServers: serversOf(message['mcp_servers']),
      turnOpen: true,
      turnDue: false,
      assistantError: null,
      openToolCalls: [],
    }
  }
  if (message['subtype'] === 'background_tasks_changed' && Array.isArray(message['tasks'])) {
    const backgroundTasks = message['tasks'].length
    const turnDue = facts.turnDue || (backgroundTasks > 0 && facts.lastResult !== null && !facts.turnOpen)
    return { ...facts, backgroundTasks, turnDue }
  }
  if (message['subtype'] === 'task_started' && message['is_backgrounded'] !== true) {
    return beatOf(facts, message['tool_use_id'])
  }
  return facts
}

function serversOf(listed: unknown): McpServer[] {
  if (!Array.isArray(listed)) return []
  return listed
    .filter(isJsonObject)
    .slice(0, MOST_SERVERS)
    .map((server) => ({ name: nameOf(server['name']) ?? '', status: nameOf(server['status']) ?? '' }))
}

/** `tool_progress` names the call as its parent; its own id is `<id>-heartbeat-<n>`. */
function beatOf(facts: StreamFacts, id: unknown): StreamFacts {
  if (!facts.openToolCalls.some((call) => call.id === id)) return facts
  const openToolCalls = facts.openToolCalls.map((call) =>
    call.id === id ? { ...call, beats: call.beats + 1 } : call,
  )
  return { ...facts, openToolCalls }
}

/** A hook of a call that is not running yet. */
function isOfHook(message: Record<string, unknown>): boolean {
  return typeof message['tool_use_id'] === 'string' && message['tool_use_id'].startsWith('hook-')
}

function observeAssistant(facts: StreamFacts, line: Record<string, unknown>): StreamFacts {
  if (isOfSubagent(line)) return facts
  const message = isJsonObject(line['message']) ? line['message'] : {}
  const calls = blocksOf(message, 'tool_use').map((block) => ({
    id: nameOf(block['id']) ?? '',
    name: nameOf(block['name']) ?? '',
    beats: 0,
  }))
  const parameters = isJsonObject(line['api_error_params']) ? line['api_error_params'] : {}
  return {
    ...observeLimit(facts, parameters['rate_limit_info']),
    turnOpen: true,
    assistantError: nameOf(line['error']),
    openToolCalls: [...facts.openToolCalls, ...calls].slice(-MOST_OPEN_CALLS),
  }
}

function observeUser(facts: StreamFacts, line: Record<string, unknown>): StreamFacts {
  if (facts.openToolCalls.length === 0 || !isJsonObject(line['message'])) return facts
  const answered = new Set(blocksOf(line['message'], 'tool_result').map((block) => block['tool_use_id']))
  if (answered.size === 0) return facts
  return { ...facts, openToolCalls: facts.openToolCalls.filter((call) => !answered.has(call.id)) }
}

function observeResult(facts: StreamFacts, message: Record<string, unknown>): StreamFacts {
  const queued = message['queued_turn_count']
  return {
    ...facts,
    lastResult: resultOf(message),
    turnOpen: false,
    turnDue: facts.backgroundTasks > 0 || (isNumber(queued) && queued > 0),
    openToolCalls: [],
    permissionDenials: withDenials(facts.permissionDenials, message['permission_denials']),
    billed: addResultUsage(facts.billed, usageOfResult(message)),
  }
}

function observeLimit(facts: StreamFacts, info: unknown): StreamFacts {
  if (!isJsonObject(info)) return facts
  const resetsAt = info['status'] === 'rejected' && isNumber(info['resetsAt']) ? info['resetsAt'] : null
  return resetsAt === facts.limitResetsAt ? facts : { ...facts, limitResetsAt: resetsAt }
}

function resultOf(message: Record<string, unknown>): ResultFacts {
  const { result, errors } = message
  return {
    isError: message['is_error'] !== false,
    subtype: nameOf(message['subtype']),
    text: typeof result === 'string' ? cutText(result, OUTPUT_LIMIT) : null,
    errors: cutText(Array.isArray(errors) ? errors.filter(isText).join('\n') : '', ERRORS_LIMIT),
    terminalReason: nameOf(message['terminal_reason']),
    stopReason: nameOf(message['stop_reason']),
    apiErrorStatus: isNumber(message['api_error_status']) ? message['api_error_status'] : null,
    apiError: nameOf(message['api_error']),
    startupFailureReason: nameOf(message['startup_failure_reason']),
  }
}

function withDenials(known: readonly unknown[], listed: unknown): readonly unknown[] {
  if (!Array.isArray(listed) || listed.length === 0) return known
  const seen = new Set(known.map(callOf))
  const added = listed.filter((denial) => callOf(denial) === null || !seen.has(callOf(denial)))
  return [...known, ...added.slice(0, Math.max(0, MOST_DENIALS - known.length)).map(shortened)]
}

function callOf(denial: unknown): string | null {
  return isJsonObject(denial) ? nameOf(denial['tool_use_id']) : null
}

function shortened(denial: unknown): unknown {
  const size = sizeOf(denial)
  if (size !== null && size <= MOST_DENIAL_CHARACTERS) return denial
  const named = isJsonObject(denial) ? denial : {}
  return {
    tool_name: nameOf(named['tool_name']),
    tool_use_id: nameOf(named['tool_use_id']),
    tool_input: size === null ? '[cut: nested too deeply]' : `[cut: ${size} characters in all]`,
  }
}

/** Characters as JSON; null where it is nested too deeply to be written again, though it could be read. */
function sizeOf(value: unknown): number | null {
  try {
    return JSON.stringify(value).length
  } catch {
    return null
  }
}

function blocksOf(message: Record<string, unknown>, type: string): Record<string, unknown>[] {
  const content = message['content']
  if (!Array.isArray(content)) return []
  return content.filter(isJsonObject).filter((block) => block['type'] === type)
}

function isOfSubagent(line: Record<string, unknown>): boolean {
  return typeof line['parent_tool_use_id'] === 'string'
}

function nameOf(value: unknown): string | null {
  return typeof value === 'string' ? cutText(value, NAME_LIMIT) : null
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

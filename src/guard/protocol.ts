/**
 * What worker and guard say to each other: one JSON object per line, commands on the guard's standard input,
 * reports on its standard output. Both ends are ours and of one version, so the parsers check shape, not intent.
 */
import { isJsonObject, type JsonObject } from '../core/json-object.ts'

import type { TierName } from './tier.ts'
import type { TierTry } from './try-tiers.ts'

/** The agent's standard output, in its directory. */
export const SPOOL_FILE = 'stdout.ndjson'
/** The agent's standard error, beside it. */
export const STDERR_FILE = 'stderr.log'

/** Worker → guard. Deadlines are milliseconds of the monotonic clock. */
export type Command =
  | StartCommand
  | { readonly op: 'deadline'; readonly agent_id: string; readonly deadline: number }
  | { readonly op: 'input'; readonly agent_id: string; readonly line: string }
  | { readonly op: 'close_input'; readonly agent_id: string }
  | { readonly op: 'kill'; readonly agent_id: string; readonly grace_ms: number }
  | { readonly op: 'stop' }

/** Start an agent: answered by `started` or `refused`. */
export interface StartCommand {
  readonly op: 'start'
  readonly agent_id: string
  /** Unique to this process over all hosts and namespaces, unlike the agent id: what a sweep looks for. */
  readonly mark: string
  readonly file: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly dir: string
  readonly deadline: number
  readonly input: string
}

/** Who ended an agent; null = it ended by itself. */
export type EndedBy = null | 'kill' | 'deadline' | 'worker_gone'

/** Guard → worker. */
export type Report =
  | {
      readonly event: 'ready'
      readonly pid: number
      readonly tier: TierName
      /** What was tried to find it, in this order; the last one works. */
      readonly tries: readonly TierTry[]
    }
  | {
      readonly event: 'started'
      readonly agent_id: string
      readonly pid: number
      readonly start_time: number
    }
  | {
      readonly event: 'refused'
      /** null where the command named no agent. */
      readonly agent_id: string | null
      readonly op: string
      readonly code: RefusalCode
      readonly message: string
    }
  | { readonly event: 'ack'; readonly agent_id: string; readonly deadline: number }
  /** The SIGKILLs of an agent are out; `exited` follows when nothing is left. */
  | { readonly event: 'killing'; readonly agent_id: string; readonly ended_by: EndedBy }
  | SampleReport
  | ExitedReport

/** `too_late`: the deadline had passed before the start: the lease's affair, no fault of the agent's. */
export type RefusalCode = 'spawn_failed' | 'too_late' | 'unknown_agent' | 'input_refused' | 'invalid_command'

/** Once per heartbeat and agent. Numbers are null where the host has no /proc. */
export interface SampleReport {
  readonly event: 'sample'
  readonly agent_id: string
  readonly state: string
  readonly cpu_ms: number | null
  readonly memory_mb: number | null
  readonly spool_bytes: number
  readonly processes: number | null
}

/** The process and all that it had started are gone. */
export interface ExitedReport {
  readonly event: 'exited'
  readonly agent_id: string
  readonly code: number | null
  readonly signal: string | null
  readonly ended_by: EndedBy
  readonly processes_killed: number
  readonly killed_gracefully: boolean
  /** UTC stamp. */
  readonly at: string
}

/** Longest line. A prompt of 10 MB of control characters is 70 MB after both encodings; nothing of ours is longer. */
export const PROTOCOL_LINE_LIMIT_BYTES = 128 * 1024 * 1024

/** A command that is understood, or the refusal to answer with. */
export type ParsedCommand =
  { readonly command: Command } | { readonly refusal: Extract<Report, { event: 'refused' }> }

/** Reads one line of the guard's standard input. Never throws. */
export function parseCommand(text: string): ParsedCommand {
  const value = parseObject(text)
  if (isCommand(value)) return { command: value }
  const op = typeof value?.['op'] === 'string' ? value['op'] : ''
  const agentId = typeof value?.['agent_id'] === 'string' ? value['agent_id'] : null
  const message =
    value === null ? 'The line is not a JSON object.' : `The command "${op}" is unknown or incomplete.`
  return { refusal: { event: 'refused', agent_id: agentId, op, code: 'invalid_command', message } }
}

/** Reads one line of the guard's standard output; null for what is not a report. */
export function parseReport(text: string): Report | null {
  const value = parseObject(text)
  return isReport(value) ? value : null
}

type Check = (value: unknown) => boolean

const isText: Check = (value) => typeof value === 'string'
const isNumber: Check = (value) => typeof value === 'number'
const isTextList: Check = (value) => Array.isArray(value) && value.every(isText)
const isTextMap: Check = (value) => isJsonObject(value) && Object.values(value).every(isText)

const COMMAND_MEMBERS: Readonly<Record<Command['op'], Readonly<Record<string, Check>>>> = {
  start: {
    agent_id: isText,
    mark: isText,
    file: isText,
    args: isTextList,
    cwd: isText,
    env: isTextMap,
    dir: isText,
    deadline: isNumber,
    input: isText,
  },
  deadline: { agent_id: isText, deadline: isNumber },
  input: { agent_id: isText, line: isText },
  close_input: { agent_id: isText },
  kill: { agent_id: isText, grace_ms: isNumber },
  stop: {},
}
const COMMANDS = new Map<unknown, Readonly<Record<string, Check>>>(Object.entries(COMMAND_MEMBERS))

function isCommand(value: unknown): value is Command {
  if (!isJsonObject(value)) return false
  const members = COMMANDS.get(value['op'])
  return members !== undefined && Object.entries(members).every(([name, check]) => check(value[name]))
}

function isReport(value: unknown): value is Report {
  return isJsonObject(value) && typeof value['event'] === 'string'
}

function parseObject(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : null
  } catch {
    return null
  }
}

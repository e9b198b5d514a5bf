/** The CLI's lines that change a row: its results. */
import { cutText } from '../core/cut-text.ts'
import { OUTPUT_LIMIT } from '../core/events.ts'
import { modelsOfResult, usageOfResult } from '../core/usage.ts'
import type { Tables } from '../ledger/tables.ts'
import { ensureAgent } from './ensure-agent.ts'
import type { AgentHeader, Effects } from './handler.ts'

/** A `result` line: untrusted, as every line of the child; only `usageOfResult` decides what is counted. */
interface ResultLine {
  readonly is_error?: unknown
  readonly subtype?: unknown
  readonly result?: unknown
  readonly errors?: unknown
  readonly stop_reason?: unknown
}

/** Tokens, cost and the final text, also of a superseded agent: what it used was used. */
export function onResult(
  tables: Tables,
  header: AgentHeader,
  payload: ResultLine | null,
  effects: Effects,
): void {
  ensureAgent(tables, header)
  const line = payload ?? {}
  const { num_turns, suspect } = usageOfResult(payload)
  const { models } = modelsOfResult(payload)
  tables.modelUsage.add(header.session_id, header.agent_id, models)
  tables.invocations.addResult({
    agent_id: header.agent_id,
    session_id: header.session_id,
    epoch: header.epoch,
    line: header.line,
    num_turns,
    suspect,
    final_result: textOrNull(line.result),
    stop_reason: textOrNull(line.stop_reason),
    error: line.is_error === true ? errorOf(line) : null,
  })
  effects.unsettled.add(header.session_id)
}

function errorOf(line: ResultLine): string {
  if (Array.isArray(line.errors) && line.errors.length > 0)
    return cutText(line.errors.map(String).join('\n'), OUTPUT_LIMIT)
  return textOrNull(line.result) ?? textOrNull(line.subtype) ?? 'The CLI reported an error.'
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? cutText(value, OUTPUT_LIMIT) : null
}

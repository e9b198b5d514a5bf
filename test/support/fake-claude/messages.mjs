/** The lines that the CLI prints, with the members that Drover reads (reference: captures of 2.1.329). */
import { randomUUID } from 'node:crypto'
import { writeSync } from 'node:fs'

/** At once and whole: what was printed before a kill is in the spool. */
export function print(message) {
  printRaw(`${JSON.stringify(message)}\n`)
}

export function printRaw(bytes) {
  let rest = Buffer.from(bytes)
  while (rest.length > 0) rest = rest.subarray(writeSync(1, rest))
}

export function initLine({ sessionId, model, mcpServers }) {
  return {
    type: 'system',
    subtype: 'init',
    cwd: process.cwd(),
    session_id: sessionId,
    tools: ['Bash', 'Read', 'Write'],
    mcp_servers: mcpServers ?? [],
    model: model ?? 'fake',
    permissionMode: 'dontAsk',
    apiKeySource: 'ANTHROPIC_API_KEY',
    claude_code_version: '2.1.329',
    uuid: randomUUID(),
  }
}

/** How far a message is that was given with a uuid: `queued`, `started`, `completed`, `cancelled`. */
export function lifecycleLine({ sessionId }, uuid, state) {
  return {
    type: 'command_lifecycle',
    command_uuid: uuid,
    state,
    uuid: randomUUID(),
    session_id: sessionId,
  }
}

/** Asks whether a tool may be used. */
export function questionLine(command) {
  return {
    type: 'control_request',
    request_id: randomUUID(),
    request: {
      subtype: 'can_use_tool',
      tool_name: 'Bash',
      display_name: 'Bash',
      input: { command },
      description: command,
      permission_suggestions: [],
      tool_use_id: `toolu_${randomUUID()}`,
    },
  }
}

export function assistantLine({ sessionId, model }, text) {
  return {
    type: 'assistant',
    message: {
      id: `msg_${randomUUID()}`,
      type: 'message',
      role: 'assistant',
      model: model ?? 'fake',
      content: [{ type: 'text', text }],
      stop_reason: null,
      usage: { input_tokens: 1, output_tokens: 1 },
    },
    parent_tool_use_id: null,
    session_id: sessionId,
    uuid: randomUUID(),
  }
}

const NO_USAGE = { input_tokens: 0, output_tokens: 0, cache_read_tokens: 0, cache_creation_tokens: 0 }

/** `costUsd` is this turn's, `totalUsd` the session's: the CLI adds up over graceful resumes. */
export function resultLine(result) {
  const {
    sessionId,
    model = 'fake',
    subtype = 'success',
    isError = false,
    costUsd = 0,
    totalUsd = costUsd,
  } = result
  const usage = { ...NO_USAGE, ...result.usage }
  const modelUsage = {
    [model]: {
      inputTokens: usage.input_tokens,
      outputTokens: usage.output_tokens,
      cacheReadInputTokens: usage.cache_read_tokens,
      cacheCreationInputTokens: usage.cache_creation_tokens,
      costUSD: costUsd,
    },
  }
  return {
    duration_ms: 1,
    duration_api_ms: 1,
    session_id: sessionId,
    is_error: isError,
    num_turns: result.turns ?? 1,
    stop_reason: isError ? null : 'end_turn',
    terminal_reason: result.terminalReason ?? (isError ? 'api_error' : 'completed'),
    api_error_status: result.apiErrorStatus ?? null,
    total_cost_usd: totalUsd,
    usage: {
      input_tokens: usage.input_tokens,
      output_tokens: usage.output_tokens,
      cache_read_input_tokens: usage.cache_read_tokens,
      cache_creation_input_tokens: usage.cache_creation_tokens,
    },
    modelUsage,
    model_usage_since_last_result: modelUsage,
    permission_denials: [],
    subtype,
    ...(result.errors === undefined ? { result: result.text ?? '' } : { errors: result.errors }),
    type: 'result',
    uuid: randomUUID(),
  }
}

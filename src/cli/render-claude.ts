/** What the CLI printed, as lines for a terminal. Every member is untrusted: what is not as expected is not shown. */
import { aboutInput } from '../core/doing.ts'
import { isJsonObject, type JsonObject } from '../core/json-object.ts'
import { counted, seconds, usd } from './format.ts'
import { paint, type Line } from './render-line.ts'

/** The lines of a `claude.*` event; none for what only programs need. `cwd`: paths below it are shown relative. */
export function renderClaude(type: string, payload: unknown, cwd: string | null): Line[] {
  if (!isJsonObject(payload)) return []
  const lines = linesOf(type, payload, cwd)
  // A subagent's, below the tool call that started it.
  const within = typeof payload['parent_tool_use_id'] === 'string'
  return within ? lines.map((line) => ({ ...line, text: `    ${line.text}` })) : lines
}

function linesOf(type: string, payload: JsonObject, cwd: string | null): Line[] {
  switch (type) {
    case 'claude.assistant':
      return blocksOf(payload).flatMap((block) => assistantBlock(block, payload, cwd))
    case 'claude.user':
      return blocksOf(payload).flatMap(userBlock)
    case 'claude.system.init':
      return initLines(payload)
    case 'claude.system.api_retry':
      return [retryLine(payload)]
    case 'claude.system.permission_denied':
      return [
        paint('warn', `✗ ${textOf(payload['tool_name'])} was not allowed: ${textOf(payload['message'])}`),
      ]
    case 'claude.system.model_fallback':
      return [paint('warn', `the model was changed: ${textOf(payload['message'] ?? payload['to'])}`)]
    default:
      return type.startsWith('claude.result') ? resultLines(payload) : []
  }
}

function assistantBlock(block: JsonObject, message: JsonObject, cwd: string | null): Line[] {
  switch (block['type']) {
    case 'text': {
      const style = message['is_api_error_message'] === true ? 'bad' : 'plain'
      return prose(block['text'], style)
    }
    case 'tool_use':
      return [paint('tool', `→ ${textOf(block['name'])} ${inputInShort(block['input'], cwd)}`.trimEnd())]
    case 'thinking': {
      const thought = firstLine(textOf(block['thinking']))
      return thought === '' ? [] : [paint('dim', `… ${thought}`)]
    }
    default:
      return []
  }
}

function userBlock(block: JsonObject): Line[] {
  if (block['type'] === 'tool_result') {
    const failed = block['is_error'] === true
    return [
      paint(failed ? 'bad' : 'dim', `  ${failed ? '✗' : '←'} ${inShort(contentText(block['content']))}`),
    ]
  }
  return block['type'] === 'text' ? [paint('dim', firstLine(textOf(block['text'])))] : []
}

function initLines(init: JsonObject): Line[] {
  const servers = Array.isArray(init['mcp_servers']) ? init['mcp_servers'].filter(isJsonObject) : []
  const failed = servers
    .filter((server) => server['status'] === 'failed')
    .map((server) => textOf(server['name']))
  return [
    paint('dim', `model ${textOf(init['model'])}, permission mode ${textOf(init['permissionMode'])}`),
    ...(failed.length > 0 ? [paint('warn', `MCP servers that failed: ${failed.join(', ')}`)] : []),
  ]
}

function retryLine(retry: JsonObject): Line {
  const status = retry['error_status'] ?? retry['error']
  const delay = numberOf(retry['retry_delay_ms'])
  return paint(
    'warn',
    `the API answered ${textOf(status)}; retry ${textOf(retry['attempt'])} of ${textOf(retry['max_retries'])} in ${seconds(delay)}`,
  )
}

function resultLines(result: JsonObject): Line[] {
  const failed = result['is_error'] === true
  const errors = Array.isArray(result['errors']) ? result['errors'].map(textOf) : []
  const facts = [
    counted(numberOf(result['num_turns']), 'turn'),
    usd(numberOf(result['total_cost_usd'])),
    seconds(numberOf(result['duration_ms'])),
  ]
  return [
    ...errors.map((error) => paint('bad', error)),
    paint(failed ? 'bad' : 'dim', `result: ${failed ? 'error' : 'success'}, ${facts.join(', ')}`),
  ]
}

/** Each line of its own, to be wrapped; no empty lines around. */
function prose(text: unknown, style: Line['style']): Line[] {
  const lines = textOf(text).replaceAll('\r\n', '\n').trim().split('\n')
  return lines[0] === '' ? [] : lines.map((line) => ({ style, text: line, wrap: true }))
}

function inputInShort(input: unknown, cwd: string | null): string {
  const about = aboutInput(input)
  return inShort(cwd !== null && about.startsWith(`${cwd}/`) ? about.slice(cwd.length + 1) : about)
}

/** The first line, and how many more there are. */
function inShort(text: string): string {
  const lines = text.trim().split('\n')
  const more = lines.length > 1 ? `  (+${counted(lines.length - 1, 'line')})` : ''
  return `${firstLine(text)}${more}`
}

/** Longest part of a line that is looked at: a result may have megabytes in one. */
const FIRST_LINE_LIMIT = 2000

function firstLine(text: string): string {
  return text.trimStart().slice(0, FIRST_LINE_LIMIT).split('\n', 1)[0]?.trimEnd() ?? ''
}

function blocksOf(payload: JsonObject): JsonObject[] {
  const message = payload['message']
  const content = isJsonObject(message) ? message['content'] : null
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  return Array.isArray(content) ? content.filter(isJsonObject) : []
}

/** A tool result is text, or blocks of which some are text. */
function contentText(content: unknown): string {
  if (!Array.isArray(content)) return textOf(content)
  return content
    .filter(isJsonObject)
    .map((block) => (block['type'] === 'text' ? textOf(block['text']) : `[${textOf(block['type'])}]`))
    .join('\n')
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  return value === undefined || value === null ? '' : JSON.stringify(value)
}

function numberOf(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0
}

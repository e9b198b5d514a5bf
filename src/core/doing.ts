/** What an agent does at this moment, in a few words: from the last line that it printed. Lines are untrusted: nothing throws. */
import { isJsonObject, type JsonObject } from './json-object.ts'

/** Types of lines that say what an agent does. */
export const TELLING_LINES = ['claude.assistant', 'claude.system.api_retry', 'claude.system.init'] as const

/** Of a tool's input, the member that says what it is about; first match wins. */
const TELLING_MEMBERS = [
  'file_path',
  'notebook_path',
  'command',
  'pattern',
  'path',
  'url',
  'query',
  'skill',
  'description',
  'task',
  'prompt',
] as const

const LONGEST = 200

/** The text is untrusted, on one line, at most 200 characters. Null where the line says nothing of it. */
export function doingOf(type: string, payload: unknown): string | null {
  if (!isJsonObject(payload)) return null
  if (type === 'claude.system.init') return 'has started'
  if (type === 'claude.system.api_retry') return retrying(payload)
  const { message } = payload
  const content = isJsonObject(message) ? message['content'] : null
  const block: unknown = Array.isArray(content) ? content.at(-1) : null
  return isJsonObject(block) ? inShort(ofBlock(block)) : null
}

/** The member of a tool's input that tells most, or all of it as JSON. */
export function aboutInput(input: unknown): string {
  if (!isJsonObject(input)) return ''
  const told = TELLING_MEMBERS.map((name) => input[name]).find((value) => typeof value === 'string')
  return told ?? JSON.stringify(input)
}

function ofBlock(block: JsonObject): string {
  const { type, text, name, input } = block
  if (type === 'tool_use') return `${typeof name === 'string' ? name : 'a tool'} ${aboutInput(input)}`
  if (type === 'thinking') return 'thinks'
  return type === 'text' && typeof text === 'string' ? text : ''
}

function retrying({ error_status: status, attempt }: JsonObject): string {
  const answer = typeof status === 'number' ? ` (${status})` : ''
  return `waits for the API${answer}${typeof attempt === 'number' ? `, try ${attempt}` : ''}`
}

function inShort(text: string): string | null {
  const [line = ''] = text
    .trimStart()
    .slice(0, 2 * LONGEST)
    .split(/[\r\n]/, 1)
  const short = line.length > LONGEST ? `${line.slice(0, LONGEST - 1)}…` : line.trimEnd()
  return short === '' ? null : short
}

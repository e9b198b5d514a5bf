/**
 * A session's record as Markdown. Whatever an agent, a tool or a caller wrote stands in fences that it cannot close,
 * or in code within a line, with its control characters made visible: it can neither become markup nor reach a
 * terminal.
 */
import type { Envelope } from '../core/envelope.ts'
import { isJsonObject, type JsonObject } from '../core/json-object.ts'
import { isMail } from '../core/mail-events.ts'
import type { SessionView } from '../ledger/ledger.ts'
import { code, fence } from './fences.ts'
import { createToolCalls, type ToolCalls } from './tool-calls.ts'

/** What an agent says is kept longer than what it gives to its tools, and that longer than what they say. */
const LONGEST_SAID = 100_000
const LONGEST_INPUT = 20_000
const LONGEST_TOOL = 4000

/** A transcript while it is written: answers are told by the calls that they belong to. */
export interface Transcript {
  /** What an event is in the transcript; empty where only programs need it. In the order of the session. */
  of(event: Envelope): string
}

/** The transcript of one session, to be given its events in order. */
export function createTranscript(): Transcript {
  const calls = createToolCalls()
  return {
    of(event) {
      const payload = isJsonObject(event.payload) ? event.payload : {}
      const parts = event.type.startsWith('claude.')
        ? ofClaude(event.type, payload, calls)
        : ofDrover(event, payload)
      return parts
        .map(({ title, text }) => `${title}  ·  ${event.ts}\n\n${text === null ? '' : `${text}\n\n`}`)
        .join('')
    },
  }
}

/** The head: what was asked for and what became of it. */
export function transcriptHead(session: SessionView): string {
  const facts: [string, string | number | null][] = [
    ['Agent type', session.agent_type],
    ['Status', session.status],
    ['Why', [session.failure_reason, session.error_message].filter(Boolean).join(': ') || null],
    ['Task', session.task_id],
    ['Workspace', session.workspace_dir],
    ['Asked for by', session.orchestrator_id ?? session.created_by],
    ['Restart of', session.restart_of],
    ['Accepted', session.created_at],
    ['Started', session.started_at],
    ['Ended', session.completed_at],
    ['Turns', session.num_turns],
    ['Restarts', session.restarts],
    ['Tokens', tokensOf(session)],
    [
      'Cost',
      `$${session.estimated_cost_usd.toFixed(6)}${session.cost_estimated ? ' (partly estimated)' : ''}`,
    ],
    ['Record', session.incomplete ? 'incomplete: something of this session is known to be missing' : null],
    [
      'Lines',
      session.pruned_at === null ? null : `what was said was taken away by retention at ${session.pruned_at}`,
    ],
  ]
  const lines = facts.flatMap(([name, value]) =>
    value === null ? [] : [`- ${name}: ${code(String(value))}`],
  )
  return `# Session ${code(session.session_id)}\n\n${lines.join('\n')}\n\n`
}

interface Part {
  readonly title: string
  readonly text: string | null
}

function ofDrover({ type, agent_id }: Envelope, payload: JsonObject): readonly Part[] {
  switch (type) {
    case 'drover.session.accepted': {
      const request = isJsonObject(payload['request']) ? payload['request'] : {}
      return [{ title: '## Prompt', text: fence(textOf(request['prompt']), LONGEST_SAID) }]
    }
    case 'drover.agent.spawned':
      return [
        {
          title: `## Agent ${code(agent_id ?? '')} ${payload['resumed'] === true ? 'resumes' : 'starts'}`,
          text: null,
        },
      ]
    case 'drover.message.sent':
      // Mail is read by a tool call, which has its text.
      if (isMail(payload)) return []
      return [
        { title: `**message** ${code(byWhom(payload))}`, text: fence(textOf(payload['text']), LONGEST_SAID) },
      ]
    case 'drover.message.answered':
      if (isMail(payload)) return []
      return [ofFacts(type, [payload['behavior'], payload['tool_name'], payload['message']], payload)]
    case 'drover.session.waiting_input':
      return [ofFacts(type, [payload['reason'], payload['tool_name']])]
    case 'drover.session.interrupt_requested':
    case 'drover.session.restarting':
    case 'drover.session.paused_limit':
    case 'drover.session.cancel_requested':
    case 'drover.agent.stalled':
    case 'drover.agent.killed':
    case 'drover.agent.exited':
    case 'drover.session.ended':
      return [
        ofFacts(
          type,
          [payload['status'], payload['reason'] ?? payload['failure_reason'], payload['message']],
          payload,
        ),
      ]
    default:
      return []
  }
}

/** What happened, in a line, and who asked for it where somebody did. */
function ofFacts(type: string, facts: readonly unknown[], asked: JsonObject = {}): Part {
  const by = isJsonObject(asked['actor']) ? [byWhom(asked)] : []
  const words = [...facts, ...by].filter((fact) => typeof fact === 'string').map(code)
  return {
    title: `**${type.replace('drover.', '').replaceAll(/[._]/g, ' ')}** ${words.join(' ')}`.trim(),
    text: null,
  }
}

/** The door that it came through, and the name of who asked where one is known. */
function byWhom({ actor }: JsonObject): string {
  const { via, name } = isJsonObject(actor) ? actor : {}
  return ['by', via, name].filter((word) => typeof word === 'string').join(' ')
}

function ofClaude(type: string, payload: JsonObject, calls: ToolCalls): readonly Part[] {
  if (type.startsWith('claude.result')) return [ofResult(payload)]
  if (type !== 'claude.assistant' && type !== 'claude.user') return []
  const { parent_tool_use_id: parent } = payload
  const within = typeof parent === 'string' ? ` (subagent${spaced(calls.what(parent))})` : ''
  return blocksOf(payload).flatMap((block) => ofBlock(block, type === 'claude.user', within, calls))
}

function ofResult(payload: JsonObject): Part {
  const facts = [
    payload['is_error'] === true ? 'failed' : 'done',
    numberOf(payload['num_turns']) === 1 ? '1 turn' : `${numberOf(payload['num_turns'])} turns`,
    `${numberOf(payload['duration_ms'])} ms`,
  ]
  return { title: `**result** ${code(facts.join(', '))}`, text: null }
}

function ofBlock(block: JsonObject, isUser: boolean, within: string, calls: ToolCalls): readonly Part[] {
  switch (block['type']) {
    case 'text':
      return [
        {
          title: `${isUser ? '**message**' : '**says**'}${within}`,
          text: fence(textOf(block['text']), LONGEST_SAID),
        },
      ]
    case 'thinking': {
      const thought = textOf(block['thinking'])
      return thought === '' ? [] : [{ title: `**thinks**${within}`, text: fence(thought, LONGEST_TOOL) }]
    }
    case 'tool_use': {
      const name = textOf(block['name'])
      calls.made(block['id'], name, block['input'])
      return [
        { title: `**tool**${within} ${code(name)}`, text: fence(inputText(block['input']), LONGEST_INPUT) },
      ]
    }
    case 'tool_result': {
      const title = block['is_error'] === true ? '**tool failed**' : '**tool answers**'
      const whose = spaced(calls.answered(block['tool_use_id']))
      return [{ title: `${title}${within}${whose}`, text: fence(resultText(block['content']), LONGEST_TOOL) }]
    }
    default:
      return []
  }
}

const LONGEST_CALL = 80

/** Its name within a title, behind a space; nothing where it is not known. */
function spaced(call: string): string {
  return call === '' ? '' : ` ${code(call.length > LONGEST_CALL ? `${call.slice(0, LONGEST_CALL)}…` : call)}`
}

function tokensOf(session: SessionView): string {
  return [
    `${session.input_tokens} input`,
    `${session.output_tokens} output`,
    `${session.cache_read_tokens} cache read`,
    `${session.cache_creation_tokens} cache creation`,
  ].join(', ')
}

function blocksOf(payload: JsonObject): readonly JsonObject[] {
  const message = payload['message']
  const content = isJsonObject(message) ? message['content'] : null
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  return Array.isArray(content) ? content.filter(isJsonObject) : []
}

/** A tool's input as it is read: a file that is written, or a script, with its lines as lines. */
function inputText(input: unknown): string {
  if (!isJsonObject(input)) return textOf(input)
  return Object.entries(input)
    .map(([name, value]) => {
      const text = textOf(value)
      return /[\r\n]/.test(text) ? `${name}:\n${text.replaceAll(/^/gm, '  ')}` : `${name}: ${text}`
    })
    .join('\n')
}

function resultText(content: unknown): string {
  if (!Array.isArray(content)) return textOf(content)
  return content
    .filter(isJsonObject)
    .map((part) => (part['type'] === 'text' ? textOf(part['text']) : `[${textOf(part['type'])}]`))
    .join('\n')
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  return value === undefined || value === null ? '' : JSON.stringify(value, null, 2)
}

function numberOf(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0
}

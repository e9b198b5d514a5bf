/**
 * A session's record as Markdown. Whatever an agent, a tool or a caller wrote stands in fences that it cannot close,
 * or in code within a line, with its control characters made visible: it can neither become markup nor reach a
 * terminal.
 */
import type { Envelope } from '../core/envelope.ts'
import { isMail } from '../core/mail-events.ts'
import { visible } from '../core/visible.ts'
import type { SessionView } from '../ledger/ledger.ts'

type Json = Record<string, unknown>

/** What an agent says is kept longer than what its tools say. */
const LONGEST_SAID = 100_000
const LONGEST_TOOL = 4000

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
  ]
  const lines = facts.flatMap(([name, value]) =>
    value === null ? [] : [`- ${name}: ${code(String(value))}`],
  )
  return `# Session ${code(session.session_id)}\n\n${lines.join('\n')}\n\n`
}

/** What an event is in the transcript; empty where only programs need it. */
export function transcriptOf(event: Envelope): string {
  const payload = isRecord(event.payload) ? event.payload : {}
  const parts = event.type.startsWith('claude.') ? ofClaude(event.type, payload) : ofDrover(event, payload)
  return parts
    .map(({ title, text }) => `${title}  ·  ${event.ts}\n\n${text === null ? '' : `${text}\n\n`}`)
    .join('')
}

interface Part {
  readonly title: string
  readonly text: string | null
}

function ofDrover({ type, agent_id }: Envelope, payload: Json): readonly Part[] {
  switch (type) {
    case 'drover.session.accepted': {
      const request = isRecord(payload['request']) ? payload['request'] : {}
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
      return [ofFacts(type, [payload['behavior'], payload['tool_name'], payload['message']])]
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
        ofFacts(type, [
          payload['status'],
          payload['reason'] ?? payload['failure_reason'],
          payload['message'],
        ]),
      ]
    default:
      return []
  }
}

/** What happened, in a line. */
function ofFacts(type: string, facts: readonly unknown[]): Part {
  const words = facts.filter((fact) => typeof fact === 'string').map(code)
  return {
    title: `**${type.replace('drover.', '').replaceAll(/[._]/g, ' ')}** ${words.join(' ')}`.trim(),
    text: null,
  }
}

/** The door that it came through, and the name of who asked where one is known. */
function byWhom({ actor }: Json): string {
  const { via, name } = isRecord(actor) ? actor : {}
  return ['by', via, name].filter((word) => typeof word === 'string').join(' ')
}

function ofClaude(type: string, payload: Json): readonly Part[] {
  if (type.startsWith('claude.result')) return [ofResult(payload)]
  if (type !== 'claude.assistant' && type !== 'claude.user') return []
  const within = typeof payload['parent_tool_use_id'] === 'string' ? ' (subagent)' : ''
  return blocksOf(payload).flatMap((block) => ofBlock(block, type === 'claude.user', within))
}

function ofResult(payload: Json): Part {
  const facts = [
    payload['is_error'] === true ? 'failed' : 'done',
    numberOf(payload['num_turns']) === 1 ? '1 turn' : `${numberOf(payload['num_turns'])} turns`,
    `${numberOf(payload['duration_ms'])} ms`,
  ]
  return { title: `**result** ${code(facts.join(', '))}`, text: null }
}

function ofBlock(block: Json, isUser: boolean, within: string): readonly Part[] {
  switch (block['type']) {
    case 'text':
      return [
        {
          title: isUser ? `**message${within}**` : `**says${within}**`,
          text: fence(textOf(block['text']), LONGEST_SAID),
        },
      ]
    case 'thinking': {
      const thought = textOf(block['thinking'])
      return thought === '' ? [] : [{ title: `**thinks${within}**`, text: fence(thought, LONGEST_TOOL) }]
    }
    case 'tool_use':
      return [
        {
          title: `**tool${within}** ${code(textOf(block['name']))}`,
          text: fence(textOf(block['input']), LONGEST_TOOL),
        },
      ]
    case 'tool_result': {
      const title = block['is_error'] === true ? `**tool failed${within}**` : `**tool answers${within}**`
      return [{ title, text: fence(resultText(block['content']), LONGEST_TOOL) }]
    }
    default:
      return []
  }
}

function tokensOf(session: SessionView): string {
  return [
    `${session.input_tokens} input`,
    `${session.output_tokens} output`,
    `${session.cache_read_tokens} cache read`,
    `${session.cache_creation_tokens} cache creation`,
  ].join(', ')
}

/** A block that the text cannot end: its fence is longer than any row of backticks in it. */
function fence(text: string, longest: number): string {
  const cut =
    text.length <= longest ? text : `${text.slice(0, longest)}\n[cut: ${text.length} characters in all]`
  const shown = cut.toWellFormed().split(/\r?\n/).map(visible).join('\n')
  const ticks = '`'.repeat(Math.max(3, longestRow(shown) + 1))
  return `${ticks}text\n${shown}\n${ticks}`
}

/** Text within a line. */
function code(text: string): string {
  const shown = visible(text.slice(0, LONGEST_TOOL).toWellFormed().replaceAll(/\s+/g, ' ')).trim()
  if (shown === '') return ''
  const ticks = '`'.repeat(longestRow(shown) + 1)
  const room = shown.startsWith('`') || shown.endsWith('`') ? ' ' : ''
  return `${ticks}${room}${shown}${room}${ticks}`
}

function longestRow(text: string): number {
  return Math.max(0, ...Array.from(text.matchAll(/`+/g), ([row]) => row.length))
}

function blocksOf(payload: Json): readonly Json[] {
  const message = payload['message']
  const content = isRecord(message) ? message['content'] : null
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  return Array.isArray(content) ? content.filter(isRecord) : []
}

function resultText(content: unknown): string {
  if (!Array.isArray(content)) return textOf(content)
  return content
    .filter(isRecord)
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

function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

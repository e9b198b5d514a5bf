/** Sessions as tables and pages for people. */
import type { Envelope } from '../core/envelope.ts'
import type { SessionState } from '../core/state.ts'
import type { AgentView, GapView, SessionView } from '../ledger/ledger.ts'
import type { HttpClient, ListDocument, SessionDocument } from '../producer/http-client.ts'
import { ago, counted, seconds, usd } from './format.ts'
import type { Colors, Output } from './output.ts'
import { createEventRenderer } from './render-event.ts'
import { visible } from './safe-text.ts'
import { modelsTable, treeTable } from './show-cost.ts'
import { spaced } from './show-pods.ts'
import { table, textTable } from './table.ts'

/** Events of one request: the server bounds a page's bytes. */
const PAGE = 1000

/** Of a session's gaps; the HTTP answer has all. */
const SHOWN_GAPS = 5

const HEADS = ['session', 'agent type', 'status', 'age', 'cost', 'prompt']

/** A page of `sessions list`; `now` is what the ages count from. */
export function sessionsTable(
  { sessions, next_cursor }: ListDocument<'sessions', SessionView>,
  output: Output,
  now: Date,
): string {
  if (sessions.length === 0) return 'No sessions.'
  const rows = sessions.map((session) => [
    session.session_id,
    session.agent_type,
    output.colors[STATE_COLORS[session.status]](session.status),
    ago(session.created_at, now),
    usd(session.estimated_cost_usd),
    visible(firstLine(session.task_description ?? '')),
  ])
  const more = next_cursor === null ? '' : `\n\nMore with --cursor ${next_cursor}`
  return `${textTable(HEADS, rows, output)}${more}`
}

/** All that is recorded of a session, which may still run. */
export async function readEvents(client: HttpClient, sessionId: string): Promise<Envelope[]> {
  const events: Envelope[] = []
  for (let after = 0; ;) {
    const page = await client.eventPage(sessionId, after, PAGE)
    events.push(...page.events)
    if (page.ended || page.events.length === 0) return events
    after = page.next
  }
}

/** State and figures, `notes` (why it does not start), agents, models and tree, then everything that was said and done. */
export function sessionText(
  document: SessionDocument,
  events: readonly Envelope[],
  output: Output,
  notes: readonly string[] = [],
): string {
  const { session, agents, gaps, models } = document
  const { colors, width, isTerminal } = output
  const render = createEventRenderer({ width: isTerminal ? width : Number.POSITIVE_INFINITY, colors })
  const tables = [
    agentsTable(agents, output),
    modelsTable(models, output),
    treeTable(session.session_id, document, output),
  ]
  return [
    facts(session, gaps ?? [], colors),
    ...spaced(notes.map(colors.yellow)),
    ...waitingText(document, colors),
    ...tables.filter((text) => text !== '').flatMap((text) => ['', text]),
    '',
    ...events.flatMap(render),
  ].join('\n')
}

/** What a person is waited for with, and what to do about it; messages that no agent has. */
function waitingText(
  { session: { session_id }, questions, messages }: SessionDocument,
  colors: Colors,
): string[] {
  const open = questions.filter((question) => question.open)
  const several = open.length > 1
  const asked = open.flatMap(({ request_id, tool_name, input, until }) => [
    '',
    colors.yellow(`It asks to use ${visible(tool_name)}, and denies itself at ${until}:`),
    `  ${visible(JSON.stringify(input))}`,
    colors.dim(
      `  drover sessions answer ${session_id} --allow|--deny${several ? ` --request ${visible(request_id)}` : ''}`,
    ),
  ])
  const left = messages.filter(({ status }) => status !== 'delivered')
  return [
    ...asked,
    ...left.map(({ status, sent_at, text }) =>
      colors.dim(`message of ${sent_at} (${status}): ${visible(firstLine(text))}`),
    ),
  ]
}

function facts(session: SessionView, gaps: readonly GapView[], colors: Colors): string {
  const lines: [string, string | null][] = [
    ['session', session.session_id],
    ['agent type', session.agent_type],
    ['status', colors[STATE_COLORS[session.status]](session.status)],
    ['task', session.task_id],
    ['waits for', session.waiting_for.join(', ') || null],
    ['why', reasonOf(session)],
    ['workspace', session.workspace_dir],
    ['child of', session.created_by],
    ['restart of', session.restart_of],
    ['created', session.created_at],
    ['started', session.started_at],
    ['ended', session.completed_at],
    ['took', session.duration_ms === null ? null : seconds(session.duration_ms)],
    ['cost', costOf(session)],
    ['record', recordOf(session, gaps)],
  ]
  return lines
    .flatMap(([name, value]) =>
      value === null ? [] : [`${colors.dim(name.padEnd(11))} ${safe(name, value)}`],
    )
    .join('\n')
}

/** Our own colours stay; everything else may be a caller's text. */
function safe(name: string, value: string): string {
  return name === 'status' ? value : visible(value)
}

/** What of it is not in the ledger, or not any more. */
function recordOf({ incomplete, pruned_at }: SessionView, gaps: readonly GapView[]): string | null {
  const parts = [
    incomplete ? `incomplete: ${lossOf(gaps)}` : null,
    pruned_at === null ? null : `retention took the raw lines away on ${pruned_at}; totals and results stay`,
  ].filter((part) => part !== null)
  return parts.length === 0 ? null : parts.join('; ')
}

/** `events 12–15 and lines 3–6 of architect-20261120-001 were lost` */
function lossOf(gaps: readonly GapView[]): string {
  const [first] = gaps
  if (first === undefined) return 'something of this session is known to be missing'
  const named = gaps.slice(0, SHOWN_GAPS).map(gapOf)
  const others = gaps.length - named.length
  const all = new Intl.ListFormat('en').format(others > 0 ? [...named, counted(others, 'other gap')] : named)
  return `${all} ${gaps.length > 1 || first.first < first.last ? 'were' : 'was'} lost`
}

function gapOf({ agent_id, first, last }: GapView): string {
  const unit = agent_id === null ? 'event' : 'line'
  const numbers = first === last ? `${unit} ${first}` : `${unit}s ${first}–${last}`
  return agent_id === null ? numbers : `${numbers} of ${agent_id}`
}

function reasonOf({ failure_reason, error_message }: SessionView): string | null {
  if (failure_reason === null) return error_message
  return error_message === null ? failure_reason : `${failure_reason}: ${error_message}`
}

function costOf(session: SessionView): string {
  const tokens = [
    `${session.input_tokens} input`,
    `${session.output_tokens} output`,
    `${session.cache_read_tokens} cache read`,
    `${session.cache_creation_tokens} cache creation`,
  ].join(', ')
  const estimated = session.cost_estimated ? ' (partly estimated)' : ''
  return `${usd(session.estimated_cost_usd)}${estimated}, ${counted(session.num_turns, 'turn')}; tokens: ${tokens}`
}

function agentsTable(agents: readonly AgentView[], output: Output): string {
  if (agents.length === 0) return ''
  const rows = agents.map((agent) => [
    agent.agent_id,
    agent.status,
    agent.pid === null ? '' : String(agent.pid),
    visible(agent.pod_id ?? ''),
    agent.spawned_at,
    agent.completed_at ?? '',
    agent.exit_signal ?? (agent.exit_code === null ? '' : String(agent.exit_code)),
  ])
  return table(['agent', 'status', 'pid', 'pod', 'spawned', 'ended', 'exit'], rows, output)
}

/** Green: done; red: failed; yellow: waits for something unusual; cyan: at work. */
const STATE_COLORS = {
  queued: 'dim',
  starting: 'cyan',
  running: 'cyan',
  restarting: 'yellow',
  paused_limit: 'yellow',
  waiting_input: 'yellow',
  waiting_workspace: 'yellow',
  completed: 'green',
  failed: 'red',
  cancelled: 'red',
} as const satisfies Record<SessionState, keyof Colors>

function firstLine(text: string): string {
  return text.trimStart().split('\n', 1)[0] ?? ''
}

/** Drover's own events as lines for a terminal. */
import type { Actor, Envelope } from '../core/envelope.ts'
import { isMail, type MailAnswered, type MailDelivered, type MailSent } from '../core/mail-events.ts'
import type {
  AgentExited,
  AgentHealth,
  AgentInterrupted,
  AgentKilled,
  AgentSpawned,
  AgentStarted,
  MessageAnswered,
  MessageDelivered,
  MessageSent,
  SessionAccepted,
  SessionCancelRequested,
  SessionClaimed,
  SessionEnded,
  SessionInterruptRequested,
  SessionRestarting,
  SessionResumed,
  SessionWaitingInput,
  TaskBlocked,
  TaskEnded,
} from '../core/events.ts'
import { counted, seconds, usd } from './format.ts'
import { paint, type Line } from './render-line.ts'

/** The payloads that have something to say to people. */
interface Payloads {
  readonly 'drover.session.accepted': SessionAccepted
  readonly 'drover.session.claimed': SessionClaimed
  readonly 'drover.session.restarting': SessionRestarting
  readonly 'drover.session.cancel_requested': Partial<SessionCancelRequested>
  readonly 'drover.session.ended': SessionEnded
  readonly 'drover.agent.spawned': AgentSpawned
  readonly 'drover.agent.started': AgentStarted
  readonly 'drover.agent.health': AgentHealth
  readonly 'drover.agent.killed': AgentKilled
  readonly 'drover.agent.exited': AgentExited
  readonly 'drover.session.waiting_input': SessionWaitingInput
  readonly 'drover.session.resumed': SessionResumed
  readonly 'drover.session.interrupt_requested': Partial<SessionInterruptRequested>
  readonly 'drover.agent.interrupted': AgentInterrupted
  readonly 'drover.message.sent': MailSent | MessageSent
  readonly 'drover.message.delivered': MailDelivered | MessageDelivered
  readonly 'drover.message.answered': MailAnswered | MessageAnswered
  readonly 'drover.task.blocked': TaskBlocked
  readonly 'drover.task.ended': TaskEnded
}

const RENDERERS: { readonly [T in keyof Payloads]: (payload: Payloads[T], event: Envelope) => Line[] } = {
  'drover.session.accepted': accepted,
  'drover.session.claimed': claimed,
  'drover.session.restarting': restarting,
  'drover.session.cancel_requested': ({ actor }) => [paint('warn', `asked to stop${byWhom(actor)}`)],
  'drover.session.ended': ended,
  'drover.agent.spawned': spawned,
  'drover.agent.started': started,
  'drover.agent.health': ({ health_status, message }) => [
    paint('dim', `health: ${health_status}${message === undefined ? '' : ` (${message})`}`),
  ],
  'drover.agent.killed': killed,
  'drover.agent.exited': exited,
  'drover.session.waiting_input': waitingInput,
  'drover.session.resumed': () => [paint('dim', 'goes on')],
  'drover.session.interrupt_requested': ({ actor }) => [
    paint('warn', `asked to stop its turn${byWhom(actor)}`),
  ],
  'drover.agent.interrupted': (_, { agent_id }) => [
    paint('dim', `${agent_id ?? 'the agent'} has stopped its turn`),
  ],
  'drover.message.sent': mail,
  'drover.message.delivered': delivered,
  'drover.message.answered': answered,
  'drover.task.blocked': ({ blocked_by }) => [paint('warn', `blocked by ${blocked_by.join(', ')}`)],
  'drover.task.ended': ({ task_id, status }) => [paint('dim', `task ${task_id}: ${status}`)],
}

/** What needs no line: other events say the same. */
const SILENT = ['drover.agent.closed', 'drover.task.pending', 'drover.task.spawned']

/** The lines of a `drover.*` event; of one that this version does not know, its name. */
export function renderDrover(event: Envelope): Line[] {
  const renderers: Readonly<Record<string, (payload: never, event: Envelope) => Line[]>> = RENDERERS
  const render = Object.hasOwn(renderers, event.type) ? renderers[event.type] : undefined
  try {
    if (render !== undefined) return render(event.payload as never, event)
  } catch {
    // Another version's payload, without members that we count on: its name is all that can be said.
  }
  return SILENT.includes(event.type) ? [] : [paint('dim', event.type.replace(/^drover\./, ''))]
}

/** One to a session's agent has another payload. */
function mail(sent: MailSent | MessageSent): Line[] {
  if (!isMail(sent)) return [paint('plain', `message${byWhom(sent.actor)}: ${firstLine(sent.text)}`)]
  const from =
    sent.from_session === null
      ? (sent.actor.name ?? 'a person')
      : `${sent.from_agent_type} ${sent.from_session}`
  const to = sent.to_session ?? sent.to_agent_type ?? 'the operator'
  return [paint('dim', `mail from ${from} to ${to}: ${sent.text.trim().split('\n', 1)[0] ?? ''}`)]
}

function waitingInput({ reason, until, tool_name, input }: SessionWaitingInput): Line[] {
  if (reason === 'interrupted') return [paint('warn', `waits for a message until ${until}`)]
  return [
    paint('warn', `asks to use ${tool_name ?? 'a tool'} (denied at ${until}): ${JSON.stringify(input)}`),
  ]
}

function delivered(payload: MailDelivered | MessageDelivered, { agent_id }: Envelope): Line[] {
  if (isMail(payload)) return [paint('dim', `mail read by ${payload.delivered_to ?? 'the operator'}`)]
  const unsure = payload.confirmed === false ? ', as far as is known' : ''
  return [paint('dim', `${agent_id ?? 'the agent'} has the message${unsure}`)]
}

function answered(payload: MailAnswered | MessageAnswered): Line[] {
  if (isMail(payload)) {
    return [paint('dim', payload.reply_id === null ? 'mail acknowledged' : 'mail answered')]
  }
  const { behavior, tool_name, message, actor } = payload
  const words = message === null ? '' : `: ${firstLine(message)}`
  return [paint('dim', `${tool_name} ${behavior === 'allow' ? 'allowed' : 'denied'}${byWhom(actor)}${words}`)]
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1)[0] ?? ''
}

function accepted({ request, actor }: SessionAccepted): Line[] {
  const task = request.task_id == null ? '' : ` for task ${request.task_id}`
  return [
    paint('dim', `accepted${task} (via ${actor.via}): ${request.prompt.trim().split('\n', 1)[0] ?? ''}`),
  ]
}

function claimed({ pod_id, waiting_workspace }: SessionClaimed): Line[] {
  if (waiting_workspace === undefined) return [paint('dim', `taken by pod ${pod_id}`)]
  return [
    paint('warn', `waiting for its workspace, which pod ${pod_id} has not: ${waiting_workspace.message}`),
  ]
}

function restarting({ message, restarts, backoff_ms, actor }: SessionRestarting): Line[] {
  if (actor !== undefined) return [paint('warn', `another agent was asked for${byWhom(actor)}`)]
  return [paint('warn', `restart ${restarts} in ${seconds(backoff_ms)}: ${message}`)]
}

function spawned({ model, resumed }: AgentSpawned, { agent_id }: Envelope): Line[] {
  return [paint('dim', `${resumed ? 'resuming' : 'starting'} ${agent_id ?? 'an agent'}, model ${model}`)]
}

function started({ pid, startup_ms, claude_code_version }: AgentStarted): Line[] {
  const version = claude_code_version === null ? '' : `, Claude Code ${claude_code_version}`
  return [paint('dim', `started after ${seconds(startup_ms)} (pid ${pid}${version})`)]
}

function killed({ reason, signal, processes_killed, actor }: AgentKilled): Line[] {
  return [
    paint('warn', `killed with ${signal}${byWhom(actor)}: ${reason}; processes ended: ${processes_killed}`),
  ]
}

/** Silent when all is well: the result and the session's end say it. */
function exited({ failure_reason, message }: AgentExited): Line[] {
  return failure_reason === null ? [] : [paint('warn', `the agent ended: ${message ?? failure_reason}`)]
}

function ended(end: SessionEnded): Line[] {
  const { input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens } = end.usage
  const tokens = input_tokens + output_tokens + cache_read_tokens + cache_creation_tokens
  const facts = [
    seconds(end.duration_ms),
    counted(end.num_turns, 'turn'),
    counted(tokens, 'token'),
    usd(end.cost_micros / 1e6),
    ...(end.restarts > 0 ? [counted(end.restarts, 'restart')] : []),
  ]
  if (end.status === 'completed') return [paint('good', `completed: ${facts.join(', ')}`)]
  const reason = end.failure_reason === null ? '' : ` (${end.failure_reason})`
  return [
    paint('bad', `${end.status}${reason}${end.message === null ? '' : `: ${end.message}`}`),
    paint('dim', facts.join(', ')),
  ]
}

function byWhom(actor: Actor | undefined): string {
  return actor === undefined ? '' : ` by ${actor.name ?? actor.via}`
}

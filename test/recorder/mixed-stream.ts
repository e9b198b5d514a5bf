/** A stream with some of everything: restarts, kills, late lines, tasks, repeats, what cannot be recorded. */
import { createRandom } from '../fault/rig/random.ts'
import { pendingTask, scriptedSession, taskEvent, type ScriptedAgent } from './scripted-session.ts'

function agent(number: number, epoch: number): ScriptedAgent {
  return { agentId: `architect-20261120-${String(number).padStart(3, '0')}`, epoch }
}

const says = (text: string): object => ({
  type: 'assistant',
  message: { id: `msg-${text}`, model: 'claude-opus-5-5', content: [{ type: 'text', text }] },
})
const costs = (micros: number, output: number): object => ({
  cost_micros: micros,
  usage: { input_tokens: 0, output_tokens: output, cache_read_tokens: 0, cache_creation_tokens: 0 },
})

const ofMail = (message_id: string): object => ({
  channel: 'mail',
  message_id,
  agent_type: 'architect',
  actor: { via: 'mcp', name: 'plain' },
})
const mail = (message_id: string, more: object): object => ({
  ...ofMail(message_id),
  thread_id: message_id,
  in_reply_to: null,
  broadcast_id: null,
  from_session: null,
  from_agent_type: null,
  to_session: null,
  to_agent_type: 'architect',
  text: `Text of ${message_id}`,
  ...more,
})

const PERSON = { via: 'cli', name: null }
const said = (message_id: string): object => ({
  message_id,
  text: `Text of ${message_id}`,
  priority: 'next',
  actor: PERSON,
})
const asks = (request_id: string): object => ({
  reason: 'permission',
  until: '2026-11-20T00:10:00.000Z',
  request_id,
  tool_name: 'Bash',
  tool_use_id: 'toolu_1',
  input: { command: 'ls' },
  description: null,
})
const allows = (request_id: string): object => ({
  request_id,
  tool_name: 'Bash',
  behavior: 'allow',
  message: null,
  updated_input: null,
  interrupt: false,
  actor: PERSON,
})

/** The histories, each in its own order. */
function histories(): readonly (readonly string[])[] {
  const one = agent(1, 1)
  const plain = scriptedSession('plain')
    .accepted({ task_id: 'A' })
    .own('drover.session.claimed', { pod_id: 'pod-1' })
    .own('drover.message.sent', mail('m-1', { to_session: 'plain' }))
    .own('drover.message.sent', mail('m-2', { to_session: 'plain' }))
    .own('drover.message.sent', said('s-1'))
    .own('drover.message.sent', said('s-2'))
    .spawned(one)
    .started(one)
    .line(one, 'claude.system.init', { type: 'system', subtype: 'init' })
    .line(one, 'claude.assistant', says('hello'))
    .own('drover.message.delivered', { ...ofMail('m-1'), delivered_to: 'plain' }, one)
    .own('drover.message.delivered', { message_id: 's-1' }, one)
    .own('drover.session.waiting_input', asks('q-1'), one)
    .own('drover.session.waiting_input', asks('q-2'), one)
    .own('drover.message.answered', allows('q-1'), one)
    .own('drover.session.interrupt_requested', { request_id: 'i', actor: PERSON }, one)
    .own('drover.agent.interrupted', { request_id: 'i' }, one)
    .own('drover.session.waiting_input', { reason: 'interrupted', until: '2026-11-20T00:00:09.000Z' }, one)
    .own('drover.session.resumed', { waited_ms: 20 }, one)
    .result(one, { output: 3, usd: 0.000007 })
    .own('drover.message.answered', { ...ofMail('m-1'), reply_id: null }, one)
    .own('drover.agent.health', { health_status: 'healthy', cpu_percent: 3, memory_mb: 90 }, one)
    .exited(one)
    .closed(one)
    .ended(costs(7, 3))

  const [first, second] = [agent(2, 2), agent(3, 9)]
  const restarted = scriptedSession('restarted')
    .accepted({}, { created_by: 'plain' })
    .spawned(first)
    .started(first)
    .line(first, 'claude.assistant', says('half'))
    .result(first, { output: 5, usd: 0.00001 })
    .own('drover.agent.stalled', { health_status: 'stalled' }, first)
    .own('drover.session.restarting', { restarts: 1 })
    .spawned(second, { retry_count: 1, resumed: true })
    .started(second)
    .line(first, 'claude.assistant', says('late'), true)
    .result(first, { output: 2, usd: 0.000002 }, true)
    .exited(first, { status: 'stalled', exit_code: null, exit_signal: 'SIGKILL', message: 'killed' }, true)
    .closed(first, {}, true)
    .result(second, { output: 1, usd: 0.000001 })
    .exited(second)
    .closed(second, { lines: 4 })
    .ended({ ...costs(13, 8), restarts: 1 })

  const third = agent(4, 4)
  const killed = scriptedSession('killed')
    .accepted({ task_id: 'B', depends_on: ['A'] })
    .spawned(third)
    .started(third)
    .line(third, 'claude.assistant', says('going'))
    .own('drover.session.cancel_requested', { actor: { via: 'cli', name: null } })
    .own('drover.agent.killed', { actor: { via: 'cli', name: null } }, third)
    .exited(third, { status: 'killed', exit_code: null, exit_signal: 'SIGTERM' })
    .closed(third, { tail_unknown: true, lines: 0 })
    .ended({ status: 'cancelled', ...costs(50, 9), output: null })

  const fifth = agent(5, 5)
  const open = scriptedSession('open')
    .accepted()
    .spawned(fifth)
    .started(fifth)
    .line(fifth, 'claude.assistant', says('on'))

  // Redis lost its counters: an agent's id given out twice cannot be projected.
  const twice = scriptedSession('twice')
    .accepted()
    .spawned({ agentId: agent(1, 1).agentId, epoch: 77 })
    .own('drover.session.waiting_input', {})
    .own('drover.session.resumed', {})
  // Its acceptance was lost.
  const orphan = scriptedSession('orphan', 'code_developer')
  orphan.own('drover.session.claimed', { pod_id: 'pod-2' })
  const conflicting = scriptedSession('plain').accepted({ prompt: 'Another.' })
  const unknown = scriptedSession('newer').accepted().own('drover.session.of_tomorrow', { a: 1 })

  const tasks = [
    pendingTask('A'),
    pendingTask('B', ['A']),
    pendingTask('C', ['B']),
    taskEvent('drover.task.blocked', { task_id: 'C', blocked_by: ['B'] }, 50),
    taskEvent('drover.task.ended', { task_id: 'C', status: 'cancelled', error_message: 'No.' }, 60),
    pendingTask('D', ['C'], { priority_number: 3, template: 'fix', vars: { issue: 'x' } }),
    taskEvent('drover.task.blocked', { task_id: 'D', blocked_by: ['C'] }, 61),
    pendingTask('C', [], { run: 1 }),
    taskEvent(
      'drover.roadmap.priority',
      { task_id: '#3', priority_number: 3, title: 'Three', status: null },
      62,
    ),
    pendingTask('D', ['C', 'A'], { run: 1, priority_number: 3, added_dependencies: ['A'] }),
    taskEvent('drover.task.ended', { task_id: 'D', status: 'cancelled', error_message: 'Late.', run: 0 }, 63),
    taskEvent('drover.task.spawned', { task_id: 'C', session_id: 'open' }, 70),
    taskEvent('drover.message.sent', mail('m-3', {}), 71),
    taskEvent('drover.message.sent', mail('m-4', { to_agent_type: null }), 72),
    taskEvent('drover.message.delivered', { ...ofMail('m-3'), delivered_to: 'restarted' }, 73),
    taskEvent('drover.message.answered', { ...ofMail('m-4'), reply_id: 'm-5' }, 74),
  ]
  const sessions = [plain, restarted, killed, open, twice, orphan, unknown].map(({ events }) => events)
  return [...sessions, [...plain.events, ...conflicting.events], ['no event at all'], tasks]
}

/** All of it, interleaved; a seed gives the same stream again. */
export function mixedStream(seed = 1): readonly string[] {
  const random = createRandom(seed).stream('mixed')
  const left = histories().map((events) => [...events])
  const stream: string[] = []
  while (left.some((events) => events.length > 0)) {
    const next = random.pick(left.filter((events) => events.length > 0)).shift()
    if (next !== undefined) stream.push(next)
  }
  return stream
}

/** Histories of sessions as fast-check draws them: agents that follow one another, what they say, ask and cost, and how they end. */
import * as fc from 'fast-check'
import { pendingTask, scriptedSession, type ScriptedAgent, type ScriptedSession } from './scripted-session.ts'

const text = fc.string({ unit: 'grapheme', maxLength: 20 })
const tokens = fc.nat({ max: 3000 })
/** Two whose prices are known, and one. */
const model = fc.constantFrom('claude-opus-5-5', 'claude-haiku-5-5', 'mystery')

const said = fc.record({
  kind: fc.constant('said' as const),
  text,
  message: fc.constantFrom('msg_1', 'msg_2', 'msg_3'),
  model,
  input: tokens,
  output: tokens,
  isSubagent: fc.boolean(),
})
const result = fc.record({
  kind: fc.constant('result' as const),
  text,
  isError: fc.boolean(),
  used: fc.dictionary(model, fc.record({ micros: fc.nat({ max: 5000 }), output: tokens }), { maxKeys: 2 }),
})
const health = fc.record({
  kind: fc.constant('health' as const),
  health_status: fc.constantFrom('healthy', 'stalled', 'dead'),
})
const asks = fc.record({ kind: fc.constant('asks' as const), isAnswered: fc.boolean() })
const told = fc.record({ kind: fc.constantFrom('told' as const, 'mail' as const), isDelivered: fc.boolean() })

/** One agent of a session: what it says, how it ends, and whether its last words come when the next one runs. */
const agentLife = fc.record({
  lines: fc.array(fc.oneof({ arbitrary: said, weight: 3 }, result, health, asks, told), { maxLength: 6 }),
  started: fc.boolean(),
  status: fc.constantFrom('completed', 'failed', 'killed', 'stalled'),
  isAway: fc.boolean(),
  isTailUnknown: fc.boolean(),
})
type Line = (typeof agentLife extends fc.Arbitrary<infer T> ? T : never)['lines'][number]

/** The history of one session. */
const sessionLife = fc.record({
  agents: fc.array(agentLife, { maxLength: 3 }),
  hasTask: fc.boolean(),
  /** Of the session before it. */
  isChild: fc.boolean(),
  isCancelled: fc.boolean(),
  end: fc.constantFrom('completed', 'failed', 'cancelled', null),
})
type SessionLife = typeof sessionLife extends fc.Arbitrary<infer T> ? T : never

/** Some sessions beside one another. */
export const histories = fc.array(sessionLife, { minLength: 1, maxLength: 4 })

const PERSON = { via: 'cli', name: null }

/** The events of the `index`th session, its task's first. */
export function eventsOf(life: SessionLife, index: number): string[] {
  const taskId = `T${index}`
  const id = `s${index}`
  const session = scriptedSession(id).accepted(
    life.hasTask ? { task_id: taskId } : {},
    life.isChild && index > 0 ? { created_by: `s${index - 1}` } : {},
  )
  session.own('drover.session.claimed', { pod_id: 'pod-1' })
  let away: (() => void) | null = null
  let micros = 0
  for (const [nth, { lines, started, status, isAway, isTailUnknown }] of life.agents.entries()) {
    const number = index * 10 + nth + 1
    const agent: ScriptedAgent = {
      agentId: `architect-20261120-${String(number).padStart(3, '0')}`,
      epoch: number,
    }
    session.spawned(agent, { retry_count: nth, resumed: nth > 0 })
    away?.()
    away = null
    if (started) session.started(agent)
    const speak = (late: boolean): void => {
      for (const [at, line] of lines.entries())
        micros += say(session, agent, line, `${id}-${nth}-${at}`, late)
      session
        .exited(agent, { status, message: status === 'failed' ? 'It crashed.' : null }, late)
        .closed(agent, isTailUnknown ? { tail_unknown: true } : {}, late)
    }
    if (isAway && nth < life.agents.length - 1) away = () => speak(true)
    else speak(false)
    if (nth < life.agents.length - 1) session.own('drover.session.restarting', { restarts: nth + 1 }, agent)
  }
  if (life.isCancelled)
    session.own('drover.session.cancel_requested', {
      actor: PERSON,
      reason: 'no',
      grace_seconds: null,
      force: false,
    })
  if (life.end !== null) session.ended({ status: life.end, cost_micros: micros })
  return life.hasTask ? [pendingTask(taskId), ...session.events] : session.events
}

/** Adds what the line comes to; answers the micro-dollars of a result. */
function say(session: ScriptedSession, agent: ScriptedAgent, line: Line, id: string, late: boolean): number {
  if (line.kind === 'said') {
    const usage = { input_tokens: line.input, output_tokens: line.output }
    const content = [{ type: 'text', text: line.text }]
    const message = { id: `${agent.agentId}-${line.message}`, model: line.model, usage, content }
    const parent = line.isSubagent ? 'toolu_1' : null
    session.line(agent, 'claude.assistant', { type: 'assistant', parent_tool_use_id: parent, message }, late)
    return 0
  }
  if (line.kind === 'result') {
    const models = Object.entries(line.used).map(([name, { micros, output }]) => [
      name,
      { inputTokens: 1, outputTokens: output, costUSD: micros / 1e6 },
    ])
    const payload = {
      type: 'result',
      is_error: line.isError,
      num_turns: 1,
      stop_reason: line.isError ? null : 'end_turn',
      result: line.text,
      model_usage_since_last_result: Object.fromEntries(models),
    }
    session.line(agent, 'claude.result.success', payload, late)
    return Object.values(line.used).reduce((sum, { micros }) => sum + micros, 0)
  }
  // Of one that another has followed only its lines and its end come.
  if (!late) act(session, agent, line, id)
  return 0
}

function act(
  session: ScriptedSession,
  agent: ScriptedAgent,
  line: Exclude<Line, { kind: 'said' | 'result' }>,
  id: string,
): void {
  switch (line.kind) {
    case 'health':
      session.own(
        'drover.agent.health',
        { health_status: line.health_status, cpu_percent: 1, memory_mb: 1 },
        agent,
      )
      return
    case 'asks': {
      const question = { request_id: `q-${id}`, tool_name: 'Bash' }
      const until = '2026-11-20T12:00:00.000Z'
      session.own(
        'drover.session.waiting_input',
        { reason: 'permission', until, ...question, input: {} },
        agent,
      )
      if (!line.isAnswered) return
      const answer = { ...question, behavior: 'allow', message: null, actor: PERSON }
      session
        .own('drover.message.answered', answer, agent)
        .own('drover.session.resumed', { waited_ms: 5 }, agent)
      return
    }
    case 'told':
    case 'mail': {
      const isMail = line.kind === 'mail'
      const message_id = `${line.kind}-${id}`
      session.own('drover.message.sent', {
        message_id,
        text: 'Look here.',
        actor: PERSON,
        ...(isMail ? mailTo(session.sessionId, message_id) : { priority: 'next' }),
      })
      if (!line.isDelivered) return
      const channel = isMail ? { channel: 'mail', delivered_to: session.sessionId } : {}
      session.own('drover.message.delivered', { message_id, ...channel }, agent)
    }
  }
}

function mailTo(to_session: string, thread_id: string): object {
  const nobody = { in_reply_to: null, broadcast_id: null, from_session: null, from_agent_type: null }
  return { channel: 'mail', agent_type: 'architect', thread_id, ...nobody, to_session, to_agent_type: null }
}

/** What a worker does to a session, through the real script and without a process. */
import type { SessionEnded } from '../../src/core/events.ts'
import type { FailureReason } from '../../src/core/state.ts'
import { newId } from '../../src/core/ids.ts'
import { createSessionRequests } from '../../src/queue/session-requests.ts'
import type { AgentRef } from '../../src/queue/session-store.ts'
import { until } from '../support/until.ts'
import type { TestBoard } from './open-board.ts'

export interface PlayedAgent {
  readonly agent: AgentRef
  /** Prints lines, from the agent's next one on. */
  print(...payloads: readonly unknown[]): Promise<void>
  /** Asks before it uses a tool; answers the question's id. A person is waited for. */
  ask(command: string): Promise<string>
  /** Does what the next interrupt asks for, and says so. */
  obeyInterrupt(): Promise<void>
  /** The process is gone and the session has ended. */
  end(more?: Partial<SessionEnded>): Promise<void>
}

const TOKEN = 'test:1'
export const PID = 4711

/** Claims the session and starts an agent; with `confirm: false` the CLI never says that it runs. */
export async function playSession(
  { store, redis, keys }: Pick<TestBoard, 'store' | 'redis' | 'keys'>,
  sessionId: string,
  { confirm = true }: { confirm?: boolean } = {},
): Promise<PlayedAgent> {
  const record = await store.read(sessionId)
  if (record === null) throw new Error(`no session ${sessionId}`)
  const { agentType, request } = record
  const session = { sessionId, agentType }
  await store.change(session, { events: [{ type: 'drover.session.claimed', payload: { pod_id: 'pod-1' } }] })

  const leaseKey = keys.lease(agentType, 0)
  await redis.set(leaseKey, TOKEN, 'PX', 60_000)
  const spawned = {
    pod_id: 'pod-1',
    command: ['claude', '-p'],
    cwd: request.workspace_dir,
    model: 'opus',
    retry_count: 0,
    resumed: false,
    prompt: request.prompt,
  }
  const started = await store.start(session, {
    leaseKey,
    token: TOKEN,
    agentIdPrefix: `${agentType.replaceAll('_', '-')}-20260101-`,
    set: { pod_id: 'pod-1' },
    events: [{ type: 'drover.agent.spawned', payload: spawned }],
  })
  if (!started.ok) throw new Error(started.refused)
  const agent = { ...session, agentId: started.agentId, epoch: started.epoch }
  if (confirm) {
    const startedAt = new Date().toISOString()
    const payload = {
      pid: PID,
      startup_ms: 300,
      started_at: startedAt,
      model: 'opus',
      claude_code_version: '2.1.329',
    }
    await store.change(agent, {
      from: ['starting'],
      to: 'running',
      set: { pid: PID, started_at: startedAt },
      events: [{ type: 'drover.agent.started', payload }],
    })
  }

  let line = 1
  return {
    agent,
    async print(...payloads) {
      const lines = payloads.map((payload) => ({
        type: typeOf(payload),
        payloadText: JSON.stringify(payload),
      }))
      await store.lines(agent, { first: line, lines })
      line += lines.length
    },
    async ask(command) {
      const requestId = newId()
      const waitsUntil = new Date(Date.now() + 60_000).toISOString()
      const question = {
        requestId,
        toolName: 'Bash',
        toolUseId: `toolu_${requestId}`,
        input: { command },
        description: command,
      }
      const payload = {
        reason: 'permission',
        until: waitsUntil,
        request_id: requestId,
        tool_name: 'Bash',
        input: { command },
      }
      const asked = JSON.stringify({ ...question, agentId: agent.agentId, until: waitsUntil })
      await store.change(agent, {
        to: 'waiting_input',
        talk: { asked: { [requestId]: asked } },
        events: [{ type: 'drover.session.waiting_input', payload }],
      })
      return requestId
    },
    async obeyInterrupt() {
      const requests = createSessionRequests(redis, keys)
      const { request_id } = await until(async () => (await requests.read(sessionId)).said.interrupt)
      await store.change(agent, {
        set: { interrupt_done: request_id },
        events: [{ type: 'drover.agent.interrupted', payload: { request_id } }],
      })
    },
    async end(more = {}) {
      const ended = { ...ENDED, ...more }
      const exited = {
        status: ended.status,
        pid: confirm ? PID : null,
        exit_code: confirm ? 0 : 1,
        exit_signal: null,
        failure_reason: ended.failure_reason,
        message: ended.message,
        stderr_tail: confirm ? '' : 'error: no such option',
      }
      const closed = { lines: line - 1, bytes: 0, sha256: null, tail_unknown: false }
      const taskId = request.task_id ?? null
      const task = { task_id: taskId, status: ended.status, error_message: ended.message }
      const changed = await store.change(agent, {
        to: ended.status,
        set: { ended: JSON.stringify({ ...ended, completed_at: new Date().toISOString() }) },
        events: [
          { type: 'drover.agent.exited', payload: exited },
          { type: 'drover.agent.closed', payload: closed },
          { type: 'drover.session.ended', payload: ended },
          ...(taskId === null ? [] : [{ type: 'drover.task.ended' as const, payload: task }]),
        ],
        last: true,
      })
      if (!changed.ok) throw new Error(changed.refused)
      await redis.del(leaseKey)
    },
  }
}

const ENDED: SessionEnded = {
  status: 'completed',
  failure_reason: null,
  message: null,
  output: 'The spec is written.',
  cost_micros: 0,
  usage: { input_tokens: 0, output_tokens: 0, cache_read_tokens: 0, cache_creation_tokens: 0 },
  num_turns: 0,
  duration_ms: 1200,
  restarts: 0,
  permission_denials: [],
}

export function failed(failureReason: FailureReason, message: string): Partial<SessionEnded> {
  return { status: 'failed', failure_reason: failureReason, message, output: null }
}

function typeOf(payload: unknown): string {
  const { type, subtype } = payload as { type: string; subtype?: string }
  return subtype === undefined ? `claude.${type}` : `claude.${type}.${subtype}`
}

/** What a real CLI prints of an answer. */
export function says(text: string): unknown {
  return { type: 'assistant', message: { role: 'assistant', content: [{ type: 'text', text }] } }
}

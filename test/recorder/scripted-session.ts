/** Events of sessions and tasks, composed as the session script composes them, for tests of what they become. */
import { composeEvent, type EventHeader } from '../../src/core/envelope.ts'
import type {
  AgentClosed,
  AgentExited,
  AgentSpawned,
  AgentStarted,
  SessionAccepted,
  SessionEnded,
  TaskPending,
} from '../../src/core/events.ts'
import type { SpawnRequest } from '../../src/core/request.ts'
import type { Ledger } from '../../src/ledger/open.ts'
import { recordBatch, type RecordedBatch } from '../../src/recorder/record-batch.ts'

export const STREAM_KEY = '{drover:test}:events'

/** 2026-11-20T10:00:00.000Z plus so many seconds. */
export function at(seconds: number): string {
  return new Date(Date.UTC(2026, 10, 20, 10) + seconds * 1000).toISOString()
}

export interface ScriptedAgent {
  readonly agentId: string
  readonly epoch: number
}

export interface ScriptedSession {
  readonly sessionId: string
  readonly events: string[]
  readonly accepted: (request?: Partial<SpawnRequest>, more?: Partial<SessionAccepted>) => ScriptedSession
  /** Any event of the session itself. */
  readonly own: (type: string, payload: object, agent?: ScriptedAgent, late?: boolean) => ScriptedSession
  readonly spawned: (agent: ScriptedAgent, more?: Partial<AgentSpawned>) => ScriptedSession
  readonly started: (agent: ScriptedAgent, more?: Partial<AgentStarted>) => ScriptedSession
  /** A line of the agent's spool; its number is the agent's next one. */
  readonly line: (agent: ScriptedAgent, type: string, payload: unknown, late?: boolean) => ScriptedSession
  /** A `result` line that used so much. */
  readonly result: (agent: ScriptedAgent, used: Used, late?: boolean) => ScriptedSession
  readonly exited: (agent: ScriptedAgent, more?: Partial<AgentExited>, late?: boolean) => ScriptedSession
  readonly closed: (agent: ScriptedAgent, more?: Partial<AgentClosed>, late?: boolean) => ScriptedSession
  readonly ended: (more?: Partial<SessionEnded>) => ScriptedSession
}

export interface Used {
  readonly input?: number
  readonly output?: number
  readonly cacheRead?: number
  readonly cacheCreation?: number
  readonly usd?: number
  readonly text?: string
  readonly isError?: boolean
}

export const REQUEST: SpawnRequest = {
  agent_type: 'architect',
  prompt: 'Write the spec.',
  workspace_dir: '/srv/shop',
}

export function scriptedSession(sessionId: string, agentType = 'architect'): ScriptedSession {
  const events: string[] = []
  const lines = new Map<string, number>()

  function add(
    type: string,
    payload: unknown,
    agent: ScriptedAgent | null,
    { line = null, late = false }: { line?: number | null; late?: boolean } = {},
  ): ScriptedSession {
    const seq = events.length + 1
    const header: EventHeader = {
      session_id: sessionId,
      agent_id: agent?.agentId ?? null,
      agent_type: agentType,
      epoch: agent?.epoch ?? 0,
      seq,
      line,
      ts: at(seq),
      type,
      ...(late ? { late: true as const } : {}),
    }
    events.push(composeEvent(header, JSON.stringify(payload)))
    return session
  }

  const session: ScriptedSession = {
    sessionId,
    events,
    accepted: (request = {}, more = {}) =>
      add(
        'drover.session.accepted',
        {
          request: { ...REQUEST, agent_type: agentType, ...request },
          digest: 'd1',
          idempotency_key: null,
          created_by: null,
          restart_of: null,
          actor: { via: 'cli', name: null },
          ...more,
        } satisfies SessionAccepted,
        null,
      ),
    own: (type, payload, agent, late = false) => add(type, payload, agent ?? null, { late }),
    spawned: (agent, more = {}) =>
      add(
        'drover.agent.spawned',
        {
          pod_id: 'pod-1',
          command: ['claude', '-p'],
          cwd: '/srv/shop',
          model: 'opus',
          retry_count: 0,
          resumed: false,
          prompt: REQUEST.prompt,
          ...more,
        } satisfies AgentSpawned,
        agent,
      ),
    started: (agent, more = {}) =>
      add(
        'drover.agent.started',
        {
          pid: 4711,
          startup_ms: 300,
          started_at: at(events.length + 1),
          model: 'claude-opus-5-5',
          claude_code_version: '2.1.329',
          ...more,
        } satisfies AgentStarted,
        agent,
      ),
    line(agent, type, payload, late = false) {
      const line = (lines.get(agent.agentId) ?? 0) + 1
      lines.set(agent.agentId, line)
      return add(type, payload, agent, { line, late })
    },
    result: (agent, used, late = false) =>
      session.line(agent, 'claude.result.success', resultLine(used), late),
    exited: (agent, more = {}, late = false) =>
      add(
        'drover.agent.exited',
        {
          status: 'completed',
          pid: 4711,
          exit_code: 0,
          exit_signal: null,
          failure_reason: null,
          message: null,
          stderr_tail: '',
          ...more,
        } satisfies AgentExited,
        agent,
        { late },
      ),
    closed: (agent, more = {}, late = false) =>
      add(
        'drover.agent.closed',
        {
          lines: lines.get(agent.agentId) ?? 0,
          bytes: 100,
          sha256: 'f'.repeat(64),
          tail_unknown: false,
          ...more,
        } satisfies AgentClosed,
        agent,
        { late },
      ),
    ended: (more = {}) =>
      add(
        'drover.session.ended',
        {
          status: 'completed',
          failure_reason: null,
          message: null,
          output: 'Done.',
          cost_micros: 0,
          usage: { input_tokens: 0, output_tokens: 0, cache_read_tokens: 0, cache_creation_tokens: 0 },
          num_turns: 1,
          duration_ms: 1000,
          restarts: 0,
          permission_denials: [],
          ...more,
        } satisfies SessionEnded,
        null,
      ),
  }
  return session
}

/** A `result` line as the CLI prints it, in what matters here. */
export function resultLine(used: Used): object {
  return {
    type: 'result',
    subtype: 'success',
    is_error: used.isError ?? false,
    num_turns: 1,
    stop_reason: 'end_turn',
    result: used.text ?? 'Done.',
    model_usage_since_last_result: {
      'claude-opus-5-5': {
        inputTokens: used.input ?? 0,
        outputTokens: used.output ?? 0,
        cacheReadInputTokens: used.cacheRead ?? 0,
        cacheCreationInputTokens: used.cacheCreation ?? 0,
        costUSD: used.usd ?? 0,
      },
    },
  }
}

/** An event of a task that belongs to no session yet. */
export function taskEvent(type: string, payload: object, seconds = 0): string {
  const header: EventHeader = {
    session_id: null,
    agent_id: null,
    agent_type: 'architect',
    epoch: 0,
    seq: null,
    line: null,
    ts: at(seconds),
    type,
  }
  return composeEvent(header, JSON.stringify(payload))
}

export function pendingTask(
  taskId: string,
  dependsOn: readonly string[] = [],
  more: Partial<TaskPending> = {},
): string {
  return taskEvent('drover.task.pending', {
    task_id: taskId,
    agent_type: 'architect',
    prompt: `Do ${taskId}.`,
    priority: 1000,
    priority_number: null,
    workspace_dir: '/srv/shop',
    depends_on: dependsOn,
    run: 0,
    actor: { via: 'cli', name: null },
    ...more,
  } satisfies TaskPending)
}

let entries = 0

/** Records texts as one batch of a stream whose ids grow from call to call. */
export function recordTexts(ledger: Ledger, texts: readonly string[]): RecordedBatch {
  const { epoch } =
    ledger.tables.position.read(STREAM_KEY) ??
    ledger.transaction(() => ledger.tables.position.claim(STREAM_KEY, at(0)))
  const batch = texts.map((text) => ({ id: `${++entries}-0`, text, raw: text }))
  return recordBatch(ledger, epoch, batch, at(0))
}

/** Records all of them, so many a batch. */
export function recordAll(ledger: Ledger, texts: readonly string[], batch: number): void {
  for (let from = 0; from < texts.length; from += batch) recordTexts(ledger, texts.slice(from, from + batch))
}

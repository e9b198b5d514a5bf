/**
 * A pod's side of the stream, without the pod: sessions with tasks, restarts, late lines and ends, through the real
 * session script; and the witness, that is what the ledger must say of them, known without any recorder.
 */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { splitEvent } from '../../src/core/envelope.ts'
import { newSessionId } from '../../src/core/ids.ts'
import type { Keys } from '../../src/queue/keys.ts'
import type { OwnEvent } from '../../src/queue/own-event.ts'
import { createSessionStore, type AgentRef } from '../../src/queue/session-store.ts'
import type { Random } from '../fault/rig/random.ts'
import { acceptance } from '../support/namespace.ts'
import { pendingTask, resultLine } from './scripted-session.ts'

/** What the ledger must say of a session, in ledger units. */
export interface WitnessedSession {
  readonly sessionId: string
  readonly taskId: string
  /** The event of its task, which comes before it. */
  readonly taskText: string
  /** In the order of `seq`: `<type> <line or -> <late or -> <payload>`. */
  readonly events: readonly string[]
  readonly restarts: number
  readonly inputTokens: number
  readonly costMicros: number
}

/** As `WitnessedSession.events` has them, from the text of an event. */
export function witnessLine(text: string): string {
  const { header, payloadText } = splitEvent(text)
  return `${header.type} ${header.line ?? '-'} ${header.late ? 'late' : '-'} ${payloadText}`
}

const TOKEN = 'a token'

/**
 * Writes sessions one after the other until `stop`, one at least; resolves when all of them have ended.
 *
 * @param pauseMs after each call of the script: how heavy the load is
 */
export async function writeSessions(
  redis: Redis,
  keys: Keys,
  options: {
    readonly agentType: string
    readonly random: Random
    readonly pauseMs: number
    readonly stop: AbortSignal
  },
): Promise<WitnessedSession[]> {
  await redis.set(keys.lease(options.agentType, 0), TOKEN)
  const sessions: WitnessedSession[] = []
  do sessions.push(await writeSession(redis, keys, options))
  while (!options.stop.aborted)
  return sessions
}

async function writeSession(
  redis: Redis,
  keys: Keys,
  { agentType, random, pauseMs }: Parameters<typeof writeSessions>[2],
): Promise<WitnessedSession> {
  const store = createSessionStore(redis, keys)
  const session = { sessionId: newSessionId(), agentType }
  const taskId = `T-${session.sessionId}`
  const events: string[] = []
  const totals = { inputTokens: 0, costMicros: 0 }
  const seen = (list: readonly OwnEvent[]): void => {
    for (const { type, payload } of list) events.push(`${type} - - ${JSON.stringify(payload)}`)
  }
  /** The script must take it: a refusal would be a mistake of this writer. */
  async function taken<T extends { readonly ok: boolean }>(
    call: Promise<T>,
  ): Promise<Extract<T, { ok: true }>> {
    const answer = await call
    if (!answer.ok) throw new Error(`the script refused: ${JSON.stringify(answer)}`)
    await sleep(pauseMs)
    return answer as Extract<T, { ok: true }>
  }
  async function change(
    of: Partial<AgentRef> & typeof session,
    what: Parameters<typeof store.change>[1],
  ): Promise<void> {
    await taken(store.change(of, what))
    seen(what.events)
  }

  async function start(retry: number): Promise<SpokenAgent> {
    const spawned: OwnEvent = {
      type: 'drover.agent.spawned',
      payload: {
        pod_id: 'pod-1',
        command: ['claude', '-p'],
        cwd: '/tmp',
        model: 'opus',
        retry_count: retry,
        resumed: retry > 0,
        prompt: 'Design it',
      },
    }
    const leaseKey = keys.lease(agentType, 0)
    const agentIdPrefix = `${agentType}-20261120-`
    const { agentId, epoch } = await taken(
      store.start(session, { leaseKey, token: TOKEN, agentIdPrefix, set: {}, events: [spawned] }),
    )
    seen([spawned])
    const agent = { ref: { ...session, agentId, epoch }, lines: [] as string[] }
    await change(agent.ref, { to: 'running', events: [{ type: 'drover.agent.started', payload: STARTED }] })
    return agent
  }

  async function speak({ ref, lines }: SpokenAgent, count: number, late: boolean): Promise<void> {
    const batch = Array.from({ length: count }, (_, index) => lineOf(random, lines.length + index + 1))
    const first = lines.length + 1
    await taken(store.lines(ref, { first, lines: batch }))
    for (const { type, payloadText, used } of batch) {
      lines.push(payloadText)
      events.push(`${type} ${lines.length} ${late ? 'late' : '-'} ${payloadText}`)
      totals.inputTokens += used
      totals.costMicros += used
    }
  }

  async function close({ ref, lines }: SpokenAgent, late: boolean): Promise<void> {
    const text = lines.map((line) => `${line}\n`).join('')
    const closing: OwnEvent[] = [
      { type: 'drover.agent.exited', payload: EXITED },
      {
        type: 'drover.agent.closed',
        payload: {
          lines: lines.length,
          bytes: Buffer.byteLength(text),
          sha256: createHash('sha256').update(text).digest('hex'),
          tail_unknown: false,
        },
      },
    ]
    await taken(store.close(ref, closing))
    for (const { type, payload } of closing)
      events.push(`${type} - ${late ? 'late' : '-'} ${JSON.stringify(payload)}`)
  }

  const taskText = pendingTask(taskId, [], { agent_type: agentType })
  await redis.xadd(keys.events, '*', 'event', taskText)
  const asked = acceptance(session.sessionId)
  const request = { ...asked.request, agent_type: agentType, task_id: taskId }
  const spawnedTask: OwnEvent = {
    type: 'drover.task.spawned',
    payload: { task_id: taskId, session_id: session.sessionId },
  }
  await store.accept({ ...asked, request, events: [spawnedTask] })
  seen([{ type: 'drover.session.accepted', payload: { request, ...asked.accepted } }, spawnedTask])
  await change(session, { events: [{ type: 'drover.session.claimed', payload: { pod_id: 'pod-1' } }] })

  const restarts = random.integer(0, 2)
  let before: SpokenAgent | null = null
  for (let retry = 0; retry <= restarts; retry++) {
    const agent = await start(retry)
    if (before !== null) {
      await speak(before, random.integer(1, 4), true)
      await close(before, true)
      before = null
    }
    await speak(agent, random.integer(1, 8), false)
    await change(agent.ref, { events: [{ type: 'drover.agent.health', payload: HEALTHY }] })
    await speak(agent, random.integer(1, 8), false)
    if (retry === restarts) {
      await close(agent, false)
      break
    }
    // An agent whose pod was away says its last only when the next one runs.
    const isAway = random.next() < 0.5
    if (!isAway) await close(agent, false)
    const restarting = {
      reason: 'crashed',
      message: 'It crashed.',
      restarts: retry + 1,
      backoff_ms: 0,
      not_before: '2026-01-01T00:00:00.000Z',
    }
    await change(agent.ref, {
      to: 'restarting',
      over: true,
      set: { restarts: retry + 1 },
      events: [{ type: 'drover.session.restarting', payload: restarting }],
    })
    if (isAway) before = agent
  }
  await change(session, {
    to: 'completed',
    last: true,
    events: [
      {
        type: 'drover.session.ended',
        payload: {
          status: 'completed',
          failure_reason: null,
          message: null,
          output: 'Done.',
          cost_micros: totals.costMicros,
          usage: {
            input_tokens: totals.inputTokens,
            output_tokens: 0,
            cache_read_tokens: 0,
            cache_creation_tokens: 0,
          },
          num_turns: 1,
          duration_ms: 1,
          restarts,
          permission_denials: [],
        },
      },
      {
        type: 'drover.task.ended',
        payload: { task_id: taskId, status: 'completed', error_message: null },
      },
    ],
  })
  return { sessionId: session.sessionId, taskId, taskText, events, restarts, ...totals }
}

interface SpokenAgent {
  readonly ref: AgentRef
  readonly lines: string[]
}

const STARTED = {
  pid: 4711,
  startup_ms: 300,
  started_at: '2026-01-01T00:00:00.000Z',
  model: 'claude-opus-5-5',
  claude_code_version: '2.1.329',
}
const HEALTHY = { health_status: 'healthy', cpu_percent: 1.5, memory_mb: 100 }
const EXITED = {
  status: 'failed',
  pid: 4711,
  exit_code: 1,
  exit_signal: null,
  failure_reason: 'crashed',
  message: null,
  stderr_tail: '',
}

interface WrittenLine {
  readonly type: string
  readonly payloadText: string
  /** Input tokens of a result, and as many micro-dollars. */
  readonly used: number
}

/** Every third line or so is a result, which is what costs. */
function lineOf(random: Random, line: number): WrittenLine {
  if (random.next() < 0.3) {
    const used = random.integer(1, 1000)
    const payloadText = JSON.stringify(resultLine({ input: used, usd: used / 1e6 }))
    return { type: 'claude.result.success', payloadText, used }
  }
  const text = 'x'.repeat(random.integer(10, 400))
  const message = { content: [{ type: 'text', text: `${line} ${text} é ✓` }] }
  return {
    type: 'claude.assistant',
    payloadText: JSON.stringify({ type: 'assistant', message }),
    used: 0,
  }
}

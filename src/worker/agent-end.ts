/** How an agent ended: its outcome, and its last events. */
import type { AgentClosed, AgentExited, AgentKilled } from '../core/events.ts'
import { classifyOutcome, NO_FACTS, type Asked, type Outcome, type StreamFacts } from '../core/outcome.ts'
import type { AgentExit } from '../guard/client.ts'
import type { OwnEvent } from '../queue/own-event.ts'
import type { AgentRef } from '../queue/session-store.ts'
import type { PublishedSpool } from './agent-stream.ts'
import type { LastSaid } from './correspondence.ts'

export interface AgentEnded {
  readonly agent: AgentRef
  readonly outcome: Outcome
  /** The agent's last events: appended together with the session's change of state that follows. */
  readonly events: readonly OwnEvent[]
  /** Messages that it has taken up and those that its conversation has, as its lines say. */
  readonly talk: LastSaid['talk']
  /** All waits of its session for people, where it ended in one that ends with it; null else. */
  readonly waitedMs: number | null
}

/** What is known of an agent whose process is gone and whose spool is drained. */
export interface AgentRemains {
  readonly agent: AgentRef
  readonly pid: number
  readonly exit: AgentExit
  /** Why Drover wanted it to end, and how; null where it did not. */
  readonly asked: Asked
  readonly how: Partial<AgentKilled>
  readonly facts: StreamFacts
  readonly spool: PublishedSpool
  readonly stderrTail: string
  /** What the disk that it worked on lacked at its end; null: nothing. */
  readonly diskShortage: string | null
  readonly lastSaid: LastSaid
}

/** The outcome of the agent and its last events. */
export function describeEnd(remains: AgentRemains): AgentEnded {
  const { agent, exit, asked, stderrTail, lastSaid } = remains
  // Deadline and guard loss are the guard's word, and come before what we had asked for.
  const why: Asked =
    exit.endedBy === 'guard_lost' ? 'guard_lost' : exit.endedBy === 'deadline' ? 'lease_lost' : asked
  const outcome = classifyOutcome({
    facts: remains.facts,
    exit: { code: exit.code, signal: exit.signal },
    asked: why,
    stderrTail,
    spawnError: null,
    diskShortage: remains.diskShortage,
  })
  const events: OwnEvent[] = [...lastSaid.events]
  if (exit.endedBy !== null) {
    const killed: AgentKilled = {
      reason: why ?? 'leftovers',
      signal: exit.killedGracefully ? 'SIGTERM' : 'SIGKILL',
      processes_killed: exit.processesKilled,
      ...(why === asked ? remains.how : {}),
    }
    events.push({ type: 'drover.agent.killed', payload: killed })
  }
  const exited: AgentExited = {
    status: outcome.agentStatus,
    pid: remains.pid,
    exit_code: exit.code,
    exit_signal: exit.signal,
    failure_reason: outcome.failureReason,
    message: outcome.failureReason === null ? null : outcome.message,
    stderr_tail: stderrTail,
  }
  const closed: AgentClosed = { ...remains.spool, tail_unknown: false }
  events.push(
    { type: 'drover.agent.exited', payload: exited },
    { type: 'drover.agent.closed', payload: closed },
  )
  return { agent, outcome, events, talk: lastSaid.talk, waitedMs: lastSaid.waitedMs }
}

/** The end of an agent whose process was never started. */
export function notSpawned(agent: AgentRef, problem: string, guardLost: boolean): AgentEnded {
  const outcome = classifyOutcome({
    facts: NO_FACTS,
    exit: null,
    asked: guardLost ? 'guard_lost' : null,
    stderrTail: '',
    spawnError: guardLost ? null : problem,
  })
  const exited: AgentExited = {
    status: outcome.agentStatus,
    pid: null,
    exit_code: null,
    exit_signal: null,
    failure_reason: outcome.failureReason,
    message: outcome.message,
    stderr_tail: '',
  }
  const closed: AgentClosed = { lines: 0, bytes: 0, sha256: null, tail_unknown: false }
  return {
    agent,
    outcome,
    talk: {},
    waitedMs: null,
    events: [
      { type: 'drover.agent.exited', payload: exited },
      { type: 'drover.agent.closed', payload: closed },
    ],
  }
}

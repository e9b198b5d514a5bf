/**
 * How the agents are: what the ledger knows of them, with the beats that their pods write into Redis.
 *
 * The ledger says which agents run, a moment late; an agent that its session's hash has left behind already is not
 * shown, because its end is on the way.
 */
import { doingOf } from '../core/doing.ts'
import { healthOf, type LiveHealth } from '../core/health.ts'
import { monitorAnswer, type MonitorAnswer, type MonitoredAgent } from '../core/monitor.ts'
import { isLive } from '../core/state.ts'
import type { AgentView, LedgerReader } from '../ledger/ledger.ts'
import type { Beats, SessionBeat } from '../queue/beats.ts'
import { requireAgent } from './known.ts'
import type { ViaRedis } from './via-redis.ts'
import { allRows } from './all-rows.ts'

export interface MonitorParts {
  readonly ledger: LedgerReader
  readonly beatsOf: (sessionIds: readonly string[]) => Promise<Beats>
  /** After how many milliseconds without a beat an agent of the type is stalled. */
  readonly stallTimeoutMs: (agentType: string) => number
  readonly viaRedis: ViaRedis
}

/** A running agent as it is now. */
export interface LiveAgent {
  readonly agent: AgentView
  readonly beat: SessionBeat
  readonly health: LiveHealth
  readonly secondsSinceHeartbeat: number
}

export interface Monitor {
  /** Every running agent. @throws DroverError `redis_unavailable` */
  running(): Promise<readonly LiveAgent[]>
  /**
   * Every running agent; with an id that one alone, also after its end.
   *
   * @throws DroverError `redis_unavailable`; `agent_not_found` with "did you mean"
   */
  answer(agentId?: string): Promise<MonitorAnswer>
}

export function createMonitor({ ledger, beatsOf, stallTimeoutMs, viaRedis }: MonitorParts): Monitor {
  async function alive(agents: readonly AgentView[]): Promise<readonly LiveAgent[]> {
    if (agents.length === 0) return []
    const { now, ofSession } = await viaRedis(beatsOf(agents.map((agent) => agent.session_id)))
    return agents.flatMap((agent) => {
      const beat = ofSession.get(agent.session_id)
      if (beat === undefined || beat.agentId !== agent.agent_id || !isLive(beat.state)) return []
      const at = beat.beat.at ?? Date.parse(agent.spawned_at)
      return [
        {
          agent,
          beat,
          health: healthOf({ ...beat.beat, at }, stallTimeoutMs(agent.agent_type), now),
          secondsSinceHeartbeat: tenths(Math.max(0, now - at) / 1000),
        },
      ]
    })
  }

  const running: Monitor['running'] = async () =>
    alive(
      allRows((page) => ledger.agents.list(page), { status: 'spawned,running' }).toSorted((a, b) =>
        a.agent_id.localeCompare(b.agent_id),
      ),
    )

  function shown(agent: AgentView, more: Partial<MonitoredAgent>, health: MonitoredAgent['health_status']) {
    const session = ledger.sessions.get(agent.session_id)
    const began = Date.parse(agent.started_at ?? agent.spawned_at)
    const until = agent.completed_at === null ? Date.now() : Date.parse(agent.completed_at)
    const unbilled = ledger.agents.unbilledUsd(agent.agent_id)
    const said = ledger.agents.lastTold(agent)
    return {
      agent_id: agent.agent_id,
      agent_type: agent.agent_type,
      task_id: agent.task_id,
      session_id: agent.session_id,
      status: agent.status,
      pid: agent.pid,
      pod_id: agent.pod_id,
      process_alive: false,
      cpu_percent: null,
      memory_mb: null,
      seconds_since_heartbeat: null,
      uptime_seconds: tenths(Math.max(0, until - began) / 1000),
      health_status: health,
      doing: said === null ? null : doingOf(said.type, JSON.parse(said.payload)),
      num_turns: session?.num_turns ?? 0,
      cost_usd: toMicros((session?.estimated_cost_usd ?? 0) + unbilled),
      cost_estimated: unbilled > 0 || (session?.cost_estimated ?? false),
      ...more,
    }
  }

  const shownLive = ({ agent, beat, health, secondsSinceHeartbeat }: LiveAgent): MonitoredAgent =>
    shown(
      agent,
      {
        process_alive: health !== 'dead',
        cpu_percent: beat.cpuPercent,
        memory_mb: beat.memoryMb,
        seconds_since_heartbeat: secondsSinceHeartbeat,
      },
      health,
    )

  async function one(agentId: string): Promise<MonitoredAgent> {
    const agent = requireAgent(ledger, agentId)
    const [live] = agent.completed_at === null ? await alive([agent]) : []
    if (live !== undefined) return shownLive(live)
    // It may have ended while Redis was asked. An end that is on the way still is not known yet: gone it is.
    const now = requireAgent(ledger, agentId)
    const ended = now.status === 'completed' ? 'completed' : 'failed'
    return shown(now, { doing: null }, now.completed_at === null ? 'dead' : ended)
  }

  return {
    running,
    async answer(agentId) {
      const agents = agentId === undefined ? (await running()).map(shownLive) : [await one(agentId)]
      return monitorAnswer(agents, new Date())
    },
  }
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10
}

/** Of two exact amounts the exact sum. */
function toMicros(usd: number): number {
  return Math.round(usd * 1e6) / 1e6
}

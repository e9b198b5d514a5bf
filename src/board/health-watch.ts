/**
 * Puts on the stream what no pod says of its agents, because it cannot: that it has been silent for the stall timeout,
 * that it is back, that it is gone. What pods say themselves (started, stalled, exited) is their own event, so each
 * change of health is recorded once.
 *
 * Only the board that records does it. Dying between a change and its record leaves it to the next look, which finds
 * in the ledger what was recorded last; nothing is decided by it.
 */
import type { AgentHealth } from '../core/events.ts'
import type { LiveHealth } from '../core/health.ts'
import type { LedgerReader } from '../ledger/ledger.ts'
import type { SessionStore } from '../queue/session-store.ts'
import type { LiveAgent, Monitor } from './monitor.ts'

/** Whoever takes a session over says itself that its agent was dead: only where nobody comes it is said here. */
const TAKEOVER_MS = 15_000

export interface HealthWatchParts {
  readonly monitor: Pick<Monitor, 'running'>
  readonly ledger: Pick<LedgerReader, 'agents'>
  readonly store: Pick<SessionStore, 'change'>
  readonly recording: () => boolean
  readonly everyMs: number
  /** @default 15000 */
  readonly takeoverMs?: number
  readonly onError: (error: unknown) => void
}

export interface HealthWatch {
  /** Resolves when the last look is over. */
  stop(): Promise<void>
}

/** Begins to look at once. */
export function watchHealth(parts: HealthWatchParts): HealthWatch {
  const { monitor, ledger, store, takeoverMs = TAKEOVER_MS } = parts
  /** What was put on the stream and may not be recorded yet. */
  let said = new Map<string, LiveHealth>()
  let deadSince = new Map<string, number>()
  let looking: Promise<void> | null = null
  const timer = setInterval(() => {
    looking ??= look()
      .catch(parts.onError)
      .finally(() => {
        looking = null
      })
  }, parts.everyMs)

  async function look(): Promise<void> {
    if (!parts.recording()) return
    const agents = await monitor.running()
    said = kept(said, agents)
    deadSince = kept(deadSince, agents)
    for (const live of agents) {
      const { agent_id: agentId } = live.agent
      const before = said.get(agentId) ?? ledger.agents.lastHealth(agentId) ?? 'healthy'
      if (live.health === before || isPodsOwn(live) || mayBeTakenOver(live)) continue
      await say(live)
      said.set(agentId, live.health)
    }
  }

  function mayBeTakenOver({ agent, health }: LiveAgent): boolean {
    if (health !== 'dead') {
      deadSince.delete(agent.agent_id)
      return false
    }
    const since = deadSince.get(agent.agent_id) ?? performance.now()
    deadSince.set(agent.agent_id, since)
    return performance.now() - since < takeoverMs
  }

  async function say({ agent, beat, health }: LiveAgent): Promise<void> {
    const { session_id: sessionId, agent_type: agentType, agent_id: agentId } = agent
    const isDead = health === 'dead'
    const payload: AgentHealth = {
      health_status: health,
      cpu_percent: isDead ? null : beat.cpuPercent,
      memory_mb: isDead ? null : beat.memoryMb,
    }
    await store.change(
      { sessionId, agentType, agentId, epoch: String(agent.epoch) },
      // In the hash, so that who takes it over does not say it again.
      {
        events: [{ type: 'drover.agent.health', payload }],
        ...(isDead ? { set: { health } } : {}),
      },
    )
  }

  return {
    async stop() {
      clearInterval(timer)
      await looking
    },
  }
}

/** A pod that says itself that its agent is stalled has put it on the stream. */
function isPodsOwn({ beat, health }: LiveAgent): boolean {
  return health === 'stalled' && beat.beat.health === 'stalled'
}

function kept<Value>(map: ReadonlyMap<string, Value>, agents: readonly LiveAgent[]): Map<string, Value> {
  const ids = new Set(agents.map(({ agent }) => agent.agent_id))
  return new Map([...map].filter(([id]) => ids.has(id)))
}

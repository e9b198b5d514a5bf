/** What the CLI says of the agent's MCP servers: who has to do without one is told, and who may not is ended. */
import type { AgentHealth } from '../core/events.ts'
import { absentServers, inWords, lacksRequired } from '../core/mcp-servers.ts'
import type { StreamFacts } from '../core/stream-facts.ts'
import type { AgentRef, SessionStore } from '../queue/session-store.ts'

export interface McpWatchParts {
  readonly store: Pick<SessionStore, 'change'>
  readonly agent: AgentRef
  /** Names of those without which the agent is ended. */
  readonly required: readonly string[]
  /** One of them is not there. May be called again. */
  readonly onLacking: () => void
  readonly onFailure: (error: unknown) => void
}

export interface McpWatch {
  /** A turn has begun. Each server that is absent is recorded once, in the agent's health. */
  hear(facts: Pick<StreamFacts, 'mcpServers' | 'sawInit'>): void
}

/** Watches the MCP servers of one agent. */
export function createMcpWatch({ store, agent, required, onLacking, onFailure }: McpWatchParts): McpWatch {
  let heard: StreamFacts['mcpServers'] = []
  const warned = new Set<string>()

  return {
    hear({ mcpServers, sawInit }) {
      if (!sawInit || mcpServers === heard) return
      heard = mcpServers
      const isLacking = lacksRequired(mcpServers, required)
      const absent = absentServers(mcpServers).filter(({ name }) => !warned.has(name))
      for (const { name } of absent) warned.add(name)
      if (absent.length > 0) {
        const health: AgentHealth = {
          health_status: isLacking ? 'failed' : 'healthy',
          cpu_percent: null,
          memory_mb: null,
          message: inWords(absent),
        }
        store.change(agent, { events: [{ type: 'drover.agent.health', payload: health }] }).catch(onFailure)
      }
      if (isLacking) onLacking()
    },
  }
}

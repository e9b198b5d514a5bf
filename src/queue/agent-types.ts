/** The agent types that a namespace knows: every pod and board says which it has, producers ask. */
import type { Redis } from 'ioredis'
import type { AgentSpec } from '../config/agent-spec.ts'
import { DroverError } from '../core/errors.ts'
import { didYouMean } from '../core/ids.ts'
import type { AgentTypeSummary } from '../core/type-view.ts'
import type { Keys } from './keys.ts'

/** How long a type is remembered without a look. */
const MEMORY_MS = 10_000

export function summaryOf(spec: AgentSpec): AgentTypeSummary {
  return {
    name: spec.name,
    description: spec.description,
    model: spec.model,
    use_cases: spec.useCases,
    timeout: spec.timeout,
    max_instances: spec.maxInstances,
    templates: spec.templates,
  }
}

export interface AgentTypeRegistry {
  announce(types: readonly AgentTypeSummary[]): Promise<void>
  /** Nobody has them any more. Other processes notice within ten seconds. */
  retract(names: readonly string[]): Promise<void>
  list(): Promise<readonly AgentTypeSummary[]>
  /** The type's summary from memory alone, at most ten seconds old; undefined where it is not known so. */
  remembered(name: string): AgentTypeSummary | undefined
  /**
   * The type's summary, from memory where it is known: at most ten seconds old.
   *
   * @throws DroverError `agent_type_not_found`, with "did you mean"
   */
  require(name: string): Promise<AgentTypeSummary>
  /** The same as it was announced last, never from memory: a template may have been changed since. */
  current(name: string): Promise<AgentTypeSummary>
}

export function createAgentTypeRegistry(redis: Redis, keys: Keys): AgentTypeRegistry {
  const known = new Map<string, AgentTypeSummary>()
  let knownSince = Number.NEGATIVE_INFINITY

  async function list(): Promise<readonly AgentTypeSummary[]> {
    const entries = await redis.hgetall(keys.agentTypes)
    known.clear()
    knownSince = performance.now()
    for (const [name, text] of Object.entries(entries)) known.set(name, JSON.parse(text) as AgentTypeSummary)
    return [...known.values()].toSorted((a, b) => a.name.localeCompare(b.name))
  }

  async function current(name: string): Promise<AgentTypeSummary> {
    const names = (await list()).map((type) => type.name)
    const found = known.get(name)
    if (found !== undefined) return found
    const hint = names.length > 0 ? didYouMean(name, names) : ' No pod or board has announced any type yet.'
    throw new DroverError('agent_type_not_found', `There is no agent type "${name}".${hint}`, {
      agent_type: name,
    })
  }

  const remembered = (name: string): AgentTypeSummary | undefined =>
    performance.now() - knownSince < MEMORY_MS ? known.get(name) : undefined

  return {
    async announce(types) {
      if (types.length === 0) return
      await redis.hset(
        keys.agentTypes,
        Object.fromEntries(types.map((type) => [type.name, JSON.stringify(type)])),
      )
    },
    async retract(names) {
      for (const name of names) known.delete(name)
      if (names.length > 0) await redis.hdel(keys.agentTypes, ...names)
    },
    list,
    remembered,
    require: async (name) => remembered(name) ?? (await current(name)),
    current,
  }
}

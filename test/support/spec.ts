/** Agent specs for tests, from their written form (CONTRACT §7). */
import type { AgentSpec } from '../../src/config/agent-spec.ts'
import { agentSpecsSchema, toAgentSpec } from '../../src/config/spec-schema.ts'

/** A spec with these members, every other one at its default. */
export function specOf(members: Readonly<Record<string, unknown>> = {}): AgentSpec {
  const written = { agent_types: { architect: { description: 'For tests', model: 'opus', ...members } } }
  const spec = agentSpecsSchema.parse(written).agent_types['architect']
  if (spec === undefined) throw new Error('the schema lost the agent type')
  return toAgentSpec('architect', spec, '/specs')
}

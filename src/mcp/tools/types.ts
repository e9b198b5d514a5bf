/** Finding the agent type for a piece of work, without reading all of them. */
import { z } from 'zod'
import { quoteText } from '../../core/cut-text.ts'
import { DETAIL_LEVELS } from '../../core/search-types.ts'
import { tool } from '../tool.ts'

const LONGEST_LINE = 100

export const searchAgents = tool({
  name: 'search_agents',
  description: 'Agent types for a piece of work, best first.',
  input: z.strictObject({
    query: z.string().max(500).describe('Words of the work: "audit documentation"'),
    detail_level: z.enum(DETAIL_LEVELS).default('summary'),
  }),
  readOnly: true,
  async call({ query, detail_level }, { client }) {
    const { agent_types } = await client.searchTypes(query, detail_level)
    return { agent_types: detail_level === 'name' ? agent_types.map(({ name }) => name) : agent_types }
  },
})

export const listAgentTypes = tool({
  name: 'list_agent_types',
  description: 'The names of all agent types, with a line about each.',
  input: z.strictObject({}),
  readOnly: true,
  async call(_args, { client, maxResultChars }) {
    const { agent_types } = await client.searchTypes('', 'summary', MOST_LISTED)
    const lines: string[] = []
    let left = maxResultChars
    for (const { name, description = '' } of agent_types) {
      const line = `${name}: ${quoteText(description, LONGEST_LINE)}`
      left -= line.length + 4
      if (left < 0) break
      lines.push(line)
    }
    const rest = agent_types.length - lines.length
    return {
      agent_types: lines,
      ...(rest > 0 ? { more: `${rest} more: search_agents finds them by words.` } : {}),
    }
  },
})

const MOST_LISTED = 1000

/** What was spent. */
import { z } from 'zod'
import { COST_BY } from '../../core/request.ts'
import { tool } from '../tool.ts'

const MOST_ROWS = 50

export const getCost = tool({
  name: 'get_cost',
  description: 'What was spent, in US dollars and tokens.',
  input: z.strictObject({
    by: z.enum(COST_BY).default('agent_type'),
    since: z.string().optional().describe('ISO time'),
  }),
  readOnly: true,
  async call({ by, since }, { client }) {
    const { rows, total } = await client.cost({ by, since, limit: MOST_ROWS })
    return { by, rows, total }
  },
})

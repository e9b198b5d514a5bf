/** What was spent, in groups. */
import { z } from 'zod'
import { usageSchema } from './event-schema.ts'
import { COST_BY } from './request.ts'
import { amount, listOf } from './schema.ts'

/** A sum over sessions. */
export const costSumSchema = z.object({
  sessions: amount,
  ...usageSchema.shape,
  cost_usd: z.number(),
  estimated: z.boolean().describe('A part of it was estimated.'),
})

export const costRowSchema = z
  .object({
    key: z
      .string()
      .nullable()
      .describe(
        "Agent type, UTC day, task id, session id, id of the tree's root, or model; null for sessions without a task.",
      ),
    ...costSumSchema.shape,
  })
  .meta({ id: 'CostRow' })
export type CostRow = Readonly<z.infer<typeof costRowSchema>>

export const costReportSchema = z.object({
  by: z.enum(COST_BY),
  rows: listOf(costRowSchema).describe(
    'By task, session and tree the dearest first, else in the order of the keys.',
  ),
  rows_omitted: amount.describe('Rows that follow these. The total has them all.'),
  next_cursor: z.string().nullable().describe('Where they begin; null: these are the last.'),
  total: costSumSchema.readonly(),
})
export type CostReport = Readonly<z.infer<typeof costReportSchema>>

/** `GET /cost` */
export const costDocumentSchema = z
  .object({ success: z.literal(true), ...costReportSchema.shape })
  .meta({ id: 'CostDocument' })

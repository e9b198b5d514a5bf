/** An agent type as a namespace knows it. */
import { z } from 'zod'
import { amount, listOf } from './schema.ts'

/** A template of an agent type, checked. */
export const promptTemplateSchema = z
  .object({
    name: z.string(),
    text: z.string(),
    variables: listOf(z.string()).describe('All that it names, in the order of its text.'),
    required: listOf(z.string()).describe(
      'Those of them without which it is not rendered; the others are only tested, or have a default.',
    ),
  })
  .meta({ id: 'PromptTemplate' })
export type PromptTemplate = Readonly<z.infer<typeof promptTemplateSchema>>

/** What producers and boards need to know of a type without its spec. */
export const agentTypeSummarySchema = z.object({
  name: z.string(),
  description: z.string(),
  model: z.string(),
  use_cases: listOf(z.string()),
  timeout: z.number().describe("Seconds; a session's whole life where it names no timeout_seconds."),
  max_instances: amount,
  templates: listOf(promptTemplateSchema)
    .exactOptional()
    .describe('Prompts that can be asked for by name; an older Drover announces none.'),
})
export type AgentTypeSummary = Readonly<z.infer<typeof agentTypeSummarySchema>>

/** An agent type as it was announced, and how busy it is. */
export const agentTypeViewSchema = z
  .object({ ...agentTypeSummarySchema.shape, active: amount, waiting: amount })
  .meta({ id: 'AgentType' })
/** An agent type in a list, with as much of it as was asked for. */
export const agentTypeLineSchema = agentTypeViewSchema
  .partial()
  .required({ name: true })
  .meta({ id: 'AgentTypeLine' })
export type AgentTypeLine = Readonly<z.infer<typeof agentTypeLineSchema>>

export type AgentTypeView = Readonly<z.infer<typeof agentTypeViewSchema>>

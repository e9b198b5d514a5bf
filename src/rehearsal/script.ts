/**
 * The rehearsal script: what a scripted model says, in YAML. `docs/rehearsal.md` describes the same format for
 * its authors. A turn is one call of the model; the CLI runs the tools that it asks for and calls again.
 *
 * Rules over several keys or turns carry `always…`, so that they are checked, and reported, beside the problems of single keys.
 */
import { z } from 'zod'
import { AGENT_TYPE_PATTERN } from '../core/ids.ts'
import { PLACEHOLDERS, unknownPlaceholders } from './placeholders.ts'

/** The turns of every agent type that the script does not name. */
const ANY_AGENT_TYPE = '*'

/** The CLI gives up on a call after six minutes without headers (measured). */
const LONGEST_LATENCY_MS = 360_000

const always = { when: ({ value }: { value: unknown }) => typeof value === 'object' && value !== null }
const alwaysOfLists = { when: ({ value }: { value: unknown }) => Array.isArray(value) }

// Not z.int(): its issues would suppress the rules over several keys.
const count = z.number('must be a number').refine(Number.isSafeInteger, 'must be a whole number')
const tokens = count.min(0, 'must not be negative').default(0)
const words = z.string('must be text').min(1, 'must not be empty')

const usageSchema = z.strictObject(
  {
    input_tokens: tokens,
    output_tokens: tokens,
    cache_read_tokens: tokens,
    cache_creation_tokens: tokens,
  },
  'must be a map of token counts',
)

/** Either an HTTP error instead of the turn, or the turn's stream broken off. */
const faultSchema = z
  .strictObject(
    {
      status: count.min(400, 'must be 400 to 599').max(599, 'must be 400 to 599').optional(),
      type: words.default('api_error'),
      message: words.default('Scripted by the rehearsal.'),
      /** Of a 429 only. */
      retry_after_seconds: count.min(0, 'must not be negative').optional(),
      /** Server-sent events that still arrive; the first one carries the usage. */
      cut_after_chunks: count.min(1, 'must be at least 1').optional(),
      /** How many calls fail this way; for ever where it is not given. */
      times: count.min(1, 'must be 1 to 1000').max(1000, 'must be 1 to 1000').optional(),
    },
    'must be a map',
  )
  .refine((fault) => (fault.status === undefined) !== (fault.cut_after_chunks === undefined), {
    ...always,
    error: 'needs either status or cut_after_chunks',
  })
  .refine((fault) => fault.retry_after_seconds === undefined || fault.status === 429, {
    ...always,
    path: ['retry_after_seconds'],
    error: 'goes with status 429 only',
  })
export type Fault = z.infer<typeof faultSchema>

const faultsSchema = z
  .array(faultSchema, 'must be a list')
  .refine((faults) => faults.slice(0, -1).every((fault) => fault?.times !== undefined), {
    ...alwaysOfLists,
    error:
      'need times in all but the last one: without it a fault lasts for ever, and the next one never comes',
  })

const toolSchema = z.strictObject(
  {
    name: words,
    input: z.record(z.string(), z.json(), 'must be a map').superRefine(checkPlaceholders).default({}),
  },
  'must be a map with name and input',
)

const turnSchema = z
  .strictObject(
    {
      text: words.superRefine(checkPlaceholders).optional(),
      tools: z.array(toolSchema, 'must be a list').min(1, 'must not be empty').optional(),
      usage: usageSchema.prefault({}),
      /** Before the first byte. */
      latency_ms: count
        .min(0, 'must not be negative')
        .max(LONGEST_LATENCY_MS, 'must be at most 360000')
        .default(0),
      faults: faultsSchema.default([]),
    },
    'must be a map',
  )
  .refine((turn) => turn.text !== undefined || turn.tools !== undefined, {
    ...always,
    error: 'needs text, tools or both',
  })
export type Turn = z.infer<typeof turnSchema>

const turnsSchema = z
  .array(turnSchema, 'must be a list of turns')
  .min(1, 'needs at least one turn')
  .refine((turns) => turns.at(-1)?.tools === undefined, {
    ...alwaysOfLists,
    // 128 calls in 6 seconds were measured.
    error:
      'must end with a turn of text only: the last turn is said again to whatever follows, a tool call for ever',
  })

const agentKey = z
  .string()
  .refine(
    (key) => key === ANY_AGENT_TYPE || AGENT_TYPE_PATTERN.test(key),
    'must be an agent type such as code_developer, or "*" for every type that is not named',
  )

/** A subagent's request says neither its type nor the call that started it, only what it was told. */
const subagentKey = z
  .string()
  .refine(
    (key) => key !== '' && key === firstLineOf(key),
    'must be the first line of the prompt that the Agent call gives, without blanks around it',
  )

export const scriptSchema = z.strictObject(
  {
    description: words,
    agents: z
      .record(agentKey, turnsSchema, 'must be a map from agent types to lists of turns')
      .refine((agents) => Object.keys(agents).length > 0, 'must name an agent type, or "*" for all of them'),
    subagents: z.record(subagentKey, turnsSchema, 'must be a map from prompts to lists of turns').default({}),
  },
  'must be a map with description and agents',
)

/** The keys of all levels, for "did you mean". */
export const SCRIPT_KEYS: readonly string[] = [
  scriptSchema,
  turnSchema,
  toolSchema,
  usageSchema,
  faultSchema,
].flatMap((schema) => Object.keys(schema.shape))

/** A script that was read and found valid. */
export interface Script extends z.infer<typeof scriptSchema> {
  readonly name: string
  readonly file: string
}

/** The turns of an agent type: its own, else those of `*`; undefined where the script has neither. */
export function turnsOf(script: Script, agentType: string): readonly Turn[] | undefined {
  // Object.hasOwn: a type may be called "constructor".
  const key = Object.hasOwn(script.agents, agentType) ? agentType : ANY_AGENT_TYPE
  return Object.hasOwn(script.agents, key) ? script.agents[key] : undefined
}

/** The turns of the subagent that was given this prompt; undefined where the script has none. */
export function turnsOfSubagent(script: Script, prompt: string): readonly Turn[] | undefined {
  return Object.hasOwn(script.subagents, prompt) ? script.subagents[prompt] : undefined
}

/** The first line of a prompt, by which the turns of a script are chosen. */
export function firstLineOf(text: string): string {
  return text.trim().split('\n', 1)[0]?.trim() ?? ''
}

function checkPlaceholders(value: unknown, context: z.RefinementCtx): void {
  for (const name of unknownPlaceholders(value)) {
    context.addIssue(
      `has the unknown placeholder {{${name}}}; there are ${PLACEHOLDERS.join(', ')}, and \\{{ for plain braces`,
    )
  }
}

/**
 * What is recorded of a text that somebody gave and that has secrets in it: the same with `[redacted:<name>]` in their
 * place, and a mark that says so. Whoever accepts it makes both, once, before there is an event of it; the text as it was
 * given stays in Redis alone, where the work waits (docs/redaction.md).
 */
import { z } from 'zod'
import { digestOf } from './ids.ts'
import type { Redactor, Secret } from './redact.ts'
import type { SpawnRequest, TemplateVars } from './request.ts'
import { listOf } from './schema.ts'

/** Says of a record that secrets were taken out of it. */
export const redactedSchema = z
  .object({
    members: listOf(z.string()).describe('Where: prompt, vars.<name>, text, message, updated_input.'),
    digest: z.string().describe('Of what was given, by which a repeat is told from another request.'),
  })
  .meta({ id: 'Redacted' })
export type Redacted = Readonly<z.infer<typeof redactedSchema>>

/** Takes secrets out of what people write. */
export type TakesOut = Pick<Redactor, 'text' | 'json' | 'find'>

/** What an agent is to do, as requests and tasks say it. */
export type Work = Pick<SpawnRequest, 'prompt' | 'template' | 'vars'>

/** Of work that was recorded before: what was taken out of it, and its prompt as it was given; null where Redis lost it. */
export interface TakenOut {
  readonly redacted: Redacted
  readonly prompt: string | null
}

/** What makes work the same: the prompt, or what it was made of, which stays the same when the template changes. */
export function digestOfWork({ prompt, template, vars }: Work): string {
  return digestOf(template == null ? { prompt } : { template, vars })
}

/**
 * Work as it is recorded; `redacted` and `prompt` (as it was given) are null where that is how it was given.
 *
 * @param before of work that is itself what was recorded
 */
export function redactWork<Asked extends Work>(
  work: Asked,
  redactor: TakesOut,
  before: TakenOut | null = null,
): { readonly recorded: Asked; readonly redacted: Redacted | null; readonly prompt: string | null } {
  const prompt = redactor.text(work.prompt)
  const vars = work.vars == null ? NO_VARS : redactVars(work.vars, redactor)
  if (prompt === work.prompt && vars.members.length === 0) {
    return { recorded: work, redacted: before?.redacted ?? null, prompt: before?.prompt ?? null }
  }
  const members = [...(prompt === work.prompt ? [] : ['prompt']), ...vars.members]
  const recorded = { ...work, prompt, ...(vars.members.length === 0 ? {} : { vars: vars.vars }) }
  if (before === null) {
    return {
      recorded,
      redacted: { members, digest: digestOfWork(work) },
      prompt: prompt === work.prompt ? null : work.prompt,
    }
  }
  const all = [...new Set([...before.redacted.members, ...members])]
  // Of variables alone: then this prompt is the one that was given.
  const isAsGiven = !before.redacted.members.includes('prompt') && prompt !== work.prompt
  return {
    recorded,
    redacted: { ...before.redacted, members: all },
    prompt: isAsGiven ? work.prompt : before.prompt,
  }
}

/** Pods look for so many of them, and for none that is longer: each costs them some milliseconds per agent. */
const MOST_VALUES = 16
const LONGEST_VALUE = 4096

/** The values that are taken out of a prompt, each once: what its agent repeats of them is to be taken out too. */
export function secretsIn(prompt: string, redactor: Pick<TakesOut, 'find'>): readonly Secret[] {
  const byValue = new Map(redactor.find(prompt).map((secret) => [secret.value, secret]))
  return [...byValue.values()].filter(({ value }) => value.length <= LONGEST_VALUE).slice(0, MOST_VALUES)
}

/** Whether a prompt had something taken out of it and is not there any more as it was given. */
export function isPromptLost(redacted: Redacted | null, prompt: string | null): boolean {
  return prompt === null && redacted?.members.includes('prompt') === true
}

interface RedactedVars {
  readonly vars: TemplateVars
  readonly members: readonly string[]
}
const NO_VARS: RedactedVars = { vars: {}, members: [] }

function redactVars(vars: TemplateVars, redactor: TakesOut): RedactedVars {
  const members: string[] = []
  const entries = Object.entries(vars).map(([name, value]): [string, string | number] => {
    const text = redactor.text(String(value))
    if (text === String(value)) return [name, value]
    members.push(`vars.${name}`)
    return [name, text]
  })
  return { vars: Object.fromEntries(entries), members }
}

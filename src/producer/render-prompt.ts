/** The prompt of a request that names a template: rendered where the request is accepted, once. */
import { renderTemplate } from '../config/prompt-template.ts'
import type { Issue } from '../core/errors.ts'
import { didYouMean, nearest } from '../core/ids.ts'
import { PROMPT_LIMIT_BYTES, type TemplateVars } from '../core/request.ts'
import type { AgentTypeSummary } from '../core/type-view.ts'

/** What a request says of its prompt, and what Drover knows beside it. */
export interface AskedPrompt {
  readonly template: string
  readonly vars: TemplateVars
  /** The prompt that was given, or is there: the template's `{{task}}`. */
  readonly task: string | null
  /** It is there already, so that a template need not use it. */
  readonly isInherited?: boolean
  /** By name; null where there is none. */
  readonly known: Readonly<Record<string, string | number | null>>
}

/** `vars` has the prompt that was given too: all that makes this prompt of its template. */
export type RenderedPrompt =
  | { readonly ok: true; readonly prompt: string; readonly vars: TemplateVars }
  | { readonly ok: false; readonly issues: readonly Issue[] }

/** What Drover gives to every template, as far as there is such a thing. */
export function knownVariables(request: {
  readonly agent_type: string
  readonly workspace_dir: string
  readonly task_id?: string | null | undefined
  readonly priority_number?: number | null | undefined
  readonly orchestrator_id?: string | null | undefined
}): AskedPrompt['known'] {
  return {
    agent_type: request.agent_type,
    workspace_dir: request.workspace_dir,
    task_id: request.task_id ?? null,
    priority_number: request.priority_number ?? null,
    orchestrator_id: request.orchestrator_id ?? null,
  }
}

/** Says all that is wrong at once: no such template, variables that are missing, unknown, or known already. */
export function renderPrompt(type: AgentTypeSummary, asked: AskedPrompt): RenderedPrompt {
  const template = type.templates?.find(({ name }) => name === asked.template)
  if (template === undefined) return refused([noTemplate(type, asked.template)])

  const { variables } = template
  const task = variables.includes('task') ? asked.task : null
  const vars: TemplateVars = task === null ? asked.vars : { ...asked.vars, task }
  const known = Object.entries(asked.known).flatMap(([name, value]) =>
    value === null ? [] : [[name, value] as const],
  )
  const issues: Issue[] = []
  if (asked.task !== null && task === null && asked.isInherited !== true) issues.push(noPlace(asked.template))
  for (const [name, value] of Object.entries(asked.vars)) {
    const own = name === 'task' ? asked.task : asked.known[name]
    if (!variables.includes(name)) issues.push(unknown(name, asked.template, variables))
    else if (own != null && String(own) !== String(value)) issues.push(knownAlready(name, own))
  }
  const rendered = renderTemplate(template.text, { ...vars, ...Object.fromEntries(known) })
  if (rendered.ok) {
    const problem = promptProblem(rendered.text)
    if (problem !== null) issues.push({ path: 'template', message: `${asked.template} ${problem}` })
    return issues.length > 0 ? refused(issues) : { ok: true, prompt: rendered.text, vars }
  }
  if ('problem' in rendered)
    return refused([...issues, { path: 'template', message: `${asked.template} ${rendered.problem}` }])
  return refused([...issues, ...rendered.missing.map((name) => missing(name, asked.template))])
}

const refused = (issues: readonly Issue[]): RenderedPrompt => ({ ok: false, issues })

function noTemplate({ name, templates = [] }: AgentTypeSummary, asked: string): Issue {
  const names = templates.map((one) => one.name)
  const hint = names.length === 0 ? ' It has none.' : didYouMean(asked, names)
  return { path: 'template', message: `${name} has no template "${asked}".${hint}` }
}

function unknown(name: string, template: string, variables: readonly string[]): Issue {
  const near = nearest(name, variables)
  const hint = near !== null ? `; did you mean "${near}"?` : ` (it has: ${variables.join(', ') || 'none'})`
  return { path: `vars.${name}`, message: `is no variable of the template ${template}${hint}` }
}

function knownAlready(name: string, value: string | number): Issue {
  const message =
    name === 'task' ? 'is the prompt, which is given too: keep one of them' : `is ${value} here: leave it out`
  return { path: `vars.${name}`, message }
}

function noPlace(template: string): Issue {
  return {
    path: 'prompt',
    message: `has no place in the template ${template}, which has no {{task}}: leave it out`,
  }
}

function missing(name: string, template: string): Issue {
  return name === 'task'
    ? { path: 'prompt', message: `is required: it is {{task}} of the template ${template}` }
    : { path: `vars.${name}`, message: `is required by the template ${template}` }
}

function promptProblem(text: string): string | null {
  if (text.trim() === '') return 'makes an empty prompt'
  return Buffer.byteLength(text) > PROMPT_LIMIT_BYTES
    ? 'makes a prompt of more than 10 MB, and the CLI takes no more'
    : null
}

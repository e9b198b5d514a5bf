/** A request with its prompt settled: the one that was given, or the one that its template makes. */
import { invalidRequest } from '../core/errors.ts'
import type { SpawnRequest } from '../core/request.ts'
import type { AgentTypeSummary } from '../core/type-view.ts'
import { knownVariables, renderPrompt } from './render-prompt.ts'

/** What a task gives to the prompt of its session. */
export interface TaskOfPrompt {
  /** The prompt is the task's own. */
  readonly isInherited: boolean
  readonly priorityNumber: number | null
}

type AskedRequest = Omit<SpawnRequest, 'prompt'> & { readonly prompt?: string | undefined }

const NO_PROMPT = {
  path: 'prompt',
  message:
    'is required (only a session with a task_id takes it from its task, one with a template from that)',
}
const NO_TEMPLATE = { path: 'vars', message: 'are of a template: name one in "template"' }

/**
 * @param type of the request, where it names a template
 * @throws DroverError `invalid_request`, with all that is wrong about prompt, template and variables
 */
export function withPrompt(
  asked: AskedRequest,
  type: AgentTypeSummary | null,
  task?: TaskOfPrompt,
): SpawnRequest {
  const { prompt, template, vars, ...request } = asked
  if (template == null || type === null) {
    const issues = [...(prompt === undefined ? [NO_PROMPT] : []), ...(vars == null ? [] : [NO_TEMPLATE])]
    if (prompt === undefined || issues.length > 0) throw invalidRequest(issues)
    return { ...request, prompt }
  }
  const rendered = renderPrompt(type, {
    template,
    vars: vars ?? {},
    task: prompt ?? null,
    isInherited: task?.isInherited ?? false,
    known: knownVariables({ ...request, priority_number: task?.priorityNumber }),
  })
  if (!rendered.ok) throw invalidRequest(rendered.issues)
  return { ...request, prompt: rendered.prompt, template, vars: rendered.vars }
}

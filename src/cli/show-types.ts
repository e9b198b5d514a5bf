/** Agent types for people, from a board or from the spec file. */
import { findAgentType, type AgentSpec } from '../config/agent-spec.ts'
import type { AgentTypeSummary, AgentTypeView, PromptTemplate } from '../core/type-view.ts'
import { summaryOf } from '../queue/agent-types.ts'
import { counted, seconds } from './format.ts'
import type { Output } from './output.ts'
import { visible } from './safe-text.ts'
import { textTable } from './table.ts'

/** From a board with how busy it is. */
type ShownType = AgentTypeSummary & Partial<AgentTypeView>

/** `types list` */
export function typesTable(types: readonly ShownType[], output: Output): string {
  if (types.length === 0) return 'No agent types: no pod has announced any.'
  // A spec file does not know how busy a type is.
  const live = types.some(({ active }) => active !== undefined)
  const now = (cell: string): string[] => (live ? [cell] : [])
  const rows = types.map((type) => [
    type.name,
    visible(type.model),
    ...now(busy(type)),
    visible(type.description),
  ])
  return textTable(['agent type', 'model', ...now('now'), 'description'], rows, output)
}

/** `types show` */
export function typeText(type: ShownType, { colors }: Output): string {
  const lines: [string, string][] = [
    ['agent type', type.name],
    ['what', visible(type.description)],
    ['model', visible(type.model)],
    ['timeout', seconds(type.timeout * 1000)],
    ['at once', counted(type.max_instances, 'agent')],
    ['now', busy(type)],
    ...(type.templates ?? []).map((template): [string, string] => ['template', templateText(template)]),
    ...type.use_cases.map((useCase): [string, string] => ['use for', visible(useCase)]),
  ]
  return lines
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${colors.dim(name.padEnd(10))} ${value}`)
    .join('\n')
}

/** The types of a spec file, by name. */
export function typesOf(specs: ReadonlyMap<string, AgentSpec>): AgentTypeSummary[] {
  return [...specs.values()].map(summaryOf).toSorted((a, b) => a.name.localeCompare(b.name))
}

/** Throws `agent_type_not_found`, with "did you mean". */
export function oneTypeOf(specs: ReadonlyMap<string, AgentSpec>, name: string): AgentTypeSummary {
  return summaryOf(findAgentType(specs, name))
}

/** `bug_fix: issue, [task]`: what it is rendered with, in brackets what may be left out. */
function templateText({ name, variables, required }: PromptTemplate): string {
  const shown = variables.map((variable) => (required.includes(variable) ? variable : `[${variable}]`))
  return shown.length === 0 ? name : `${name}: ${shown.join(', ')}`
}

function busy({ active, waiting }: ShownType): string {
  if (active === undefined) return ''
  return `${active} active${waiting ? `, ${waiting} waiting` : ''}`
}

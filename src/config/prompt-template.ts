/**
 * Prompts with variables: Liquid, cut down to `{{ name }}`, `{% if %}`, `{% unless %}`, `{% comment %}`, `{% raw %}`
 * and filters that make nothing longer. No loops, no files, no properties: rendering takes time in proportion to what
 * comes out, and that is bounded. Values are text and stay text, whatever is in them.
 */
import { Liquid, type Template } from 'liquidjs'
import { messageOf } from '../core/errors.ts'
import { PROMPT_LIMIT_BYTES } from '../core/request.ts'
import type { PromptTemplate } from '../core/type-view.ts'

export type Rendered =
  | { readonly ok: true; readonly text: string }
  /** `missing`: all variables that have no value. */
  | { readonly ok: false; readonly missing: readonly string[] }
  | { readonly ok: false; readonly problem: string }

const TAGS = new Set(['if', 'unless', 'comment', 'raw'])
const FILTERS = new Set(['default', 'strip', 'upcase', 'downcase', 'capitalize'])
const VARIABLE_PATTERN = /^[a-z][a-z0-9_]{0,63}$/
/** Rendered in some milliseconds; this is for what nobody thought of. */
const RENDER_LIMIT_MS = 1000
const LONGEST_TEXT = 65_536
/** Parsing takes some 80 µs for each. */
const MOST_PLACES = 1000
/** Of what filters make on the way. */
const MEMORY_LIMIT = 10 * PROMPT_LIMIT_BYTES

class TooLong extends Error {}

let written = 0
const engine = createEngine()

function createEngine(): Liquid {
  const liquid = new Liquid({
    strictVariables: true,
    strictFilters: true,
    lenientIf: true,
    ownPropertyOnly: true,
    dynamicPartials: false,
    relativeReference: false,
    // In the place of the file system.
    templates: {},
    parseLimit: LONGEST_TEXT,
    renderLimit: RENDER_LIMIT_MS,
    memoryLimit: MEMORY_LIMIT,
    // Escapes nothing: it is where every value passes, and is counted.
    outputEscape(value: unknown) {
      const text = isWritten(value) ? `${value}` : ''
      written += text.length
      if (written > PROMPT_LIMIT_BYTES) throw new TooLong()
      return text
    },
  })
  keepOnly(liquid.tags, TAGS)
  keepOnly(liquid.filters, FILTERS)
  return liquid
}

function isWritten(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

function keepOnly(registry: Record<string, unknown>, allowed: ReadonlySet<string>): void {
  for (const name of Object.keys(registry)) if (!allowed.has(name)) delete registry[name]
}

/** What is wrong with a template's text, to follow its name; null: nothing. */
export function templateProblem(text: string): string | null {
  if (text.length > LONGEST_TEXT) return `must be at most ${LONGEST_TEXT} characters`
  if (text.split(/\{\{|\{%/).length > MOST_PLACES + 1)
    return `must have at most ${MOST_PLACES} variables and tags`
  try {
    const bad = pathsOf(engine.parse(text)).find(
      (path) => path.length !== 1 || !VARIABLE_PATTERN.test(String(path[0])),
    )
    return bad === undefined
      ? null
      : `names "${bad.map(String).join('.')}", which is no variable such as {{task}} (a-z, 0-9 and _)`
  } catch (error) {
    return `is no template: ${messageOf(error)}`
  }
}

/** Of a text in which `templateProblem` finds nothing. */
export function promptTemplate(name: string, text: string): PromptTemplate {
  const variables = [...new Set(pathsOf(engine.parse(text)).map((path) => String(path[0])))]
  const bare = renderTemplate(text, {})
  return { name, text, variables, required: 'missing' in bare ? bare.missing : [] }
}

function pathsOf(templates: Template[]): unknown[][] {
  return engine.globalVariableSegmentsSync(templates)
}

/** Renders; a value that the text does not name changes nothing. */
export function renderTemplate(text: string, values: Readonly<Record<string, string | number>>): Rendered {
  const templates = engine.parse(text)
  const missing: string[] = []
  // Liquid stops at the first variable without a value. With each that it names known, it comes further.
  for (const given: Record<string, string | number> = { ...values }; ;) {
    try {
      written = 0
      const rendered: string = engine.renderSync(templates, given)
      return missing.length > 0 ? { ok: false, missing } : { ok: true, text: rendered }
    } catch (error) {
      const name = missingVariable(error)
      if (name === null || Object.hasOwn(given, name)) return { ok: false, problem: problemOf(error) }
      missing.push(name)
      given[name] = ''
    }
  }
}

function missingVariable(error: unknown): string | null {
  const cause = causeOf(error)
  const name: unknown = cause instanceof Error && 'variableName' in cause ? cause.variableName : null
  return typeof name === 'string' ? name : null
}

function problemOf(error: unknown): string {
  return causeOf(error) instanceof TooLong
    ? 'makes a prompt of more than 10 MB, and the CLI takes no more'
    : `could not be rendered: ${messageOf(error)}`
}

/** Liquid wraps what is thrown while it renders. */
function causeOf(error: unknown): unknown {
  return error instanceof Error && 'originalError' in error ? error.originalError : error
}

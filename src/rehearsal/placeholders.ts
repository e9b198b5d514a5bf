/**
 * `{{name}}` in the texts and tool inputs of a script. `\{{` writes the braces themselves, and anything that is
 * not a plain lower-case name between them (`${{ github.ref }}`) is left alone.
 */

export const PLACEHOLDERS = ['prompt', 'message', 'agent_type', 'session_id'] as const
export type PlaceholderValues = Readonly<Record<(typeof PLACEHOLDERS)[number], string>>

const PATTERN = /(\\?)\{\{\s*([a-z_]+)\s*\}\}/g

/** The names in a value's strings that no request could fill. */
export function unknownPlaceholders(value: unknown): string[] {
  if (typeof value === 'string') {
    return [...value.matchAll(PATTERN)]
      .filter(([, escape, name]) => escape === '' && !isPlaceholder(name))
      .map(([, , name]) => name ?? '')
  }
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(unknownPlaceholders) : []
}

/** The value with every string in it filled (keys are left alone). What was filled in is not searched again. */
export function fill<T>(value: T, values: PlaceholderValues): T
export function fill(value: unknown, values: PlaceholderValues): unknown {
  if (typeof value === 'string') return fillText(value, values)
  if (Array.isArray(value)) return value.map((member: unknown) => fill(member, values))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, fill(member, values)]))
}

function fillText(text: string, values: PlaceholderValues): string {
  return text.replace(PATTERN, (whole: string, escape: string, name: string) => {
    if (escape !== '') return whole.slice(1)
    return isPlaceholder(name) ? values[name] : whole
  })
}

function isPlaceholder(name: string | undefined): name is keyof PlaceholderValues {
  return PLACEHOLDERS.some((known) => known === name)
}

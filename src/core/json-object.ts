/** What is between the braces of an untrusted JSON object: any members, of any kind. */
export type JsonObject = Readonly<Record<string, unknown>>

/** Not for a list, and not for null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

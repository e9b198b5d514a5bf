/** snake_case at the wire, camelCase in TypeScript: the names of CONTRACT, both ways. */

type CamelKey<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelKey<Tail>>}`
  : S

/** The same members with camelCase names, one level of nested objects included. */
export type Camel<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { readonly [K in keyof T as K extends string ? CamelKey<K> : K]: Camel<T[K]> }
    : T

/** What is somebody's own and not ours: its names stay. */
const VERBATIM = [
  'events',
  'payload',
  'vars',
  'input',
  'updated_input',
  'updatedInput',
  'permission_denials',
] as const
type Verbatim = (typeof VERBATIM)[number]

/** The same with what is in arrays; not within what is verbatim. */
export type DeepCamel<T> = T extends AbortSignal | ((...args: never) => unknown)
  ? T
  : T extends readonly unknown[]
    ? { readonly [K in keyof T]: DeepCamel<T[K]> }
    : T extends object
      ? {
          readonly [K in keyof T as K extends string ? CamelKey<K> : K]: K extends Verbatim
            ? T[K]
            : DeepCamel<T[K]>
        }
      : T

/** Our own member names are few: each is worked out once. */
function remembered(rename: (key: string) => string): (key: string) => string {
  const known = new Map<string, string>()
  return (key) => {
    let renamed = known.get(key)
    if (renamed === undefined) known.set(key, (renamed = rename(key)))
    return renamed
  }
}

const camelKey = remembered((key) => key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()))
const snakeKey = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** Renames the members of our own objects; arrays and what is in them stay as they are. */
export function toCamel<T extends object>(value: T): Camel<T> {
  return rename(value, camelKey) as Camel<T>
}

export function toSnake(value: object): Record<string, unknown> {
  return rename(value, snakeKey) as Record<string, unknown>
}

function rename(value: unknown, key: (key: string) => string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [key(name), rename(member, key)]))
}

/** A document of the wire with camelCase names at every level (`DeepCamel`). */
export function toDeepCamel<T>(value: T): DeepCamel<T> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the type says what the function does
  return renameDeep(value, camelKey) as DeepCamel<T>
}

/** The way back, for what is sent: snake_case at every level. */
export function toDeepSnake<T>(value: DeepCamel<T>): T {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the type says what the function does
  return renameDeep(value, snakeKey) as T
}

function renameDeep(value: unknown, key: (key: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => renameDeep(item, key))
  if (typeof value !== 'object' || value === null || value instanceof AbortSignal) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      key(name),
      VERBATIM.some((own) => own === name) ? member : renameDeep(member, key),
    ]),
  )
}

/** What one setting is, and the kinds of value a setting can have. `settings.ts` is the table of all of them. */
import { resolve } from 'node:path'
import { z } from 'zod'
import { LONGEST_TIMER_MS } from '../core/clock.ts'

/** What defaults are made from. */
export interface Place {
  /** Absolute. */
  readonly cwd: string
  readonly hostname: string
  readonly pid: number
}

/** One setting: how it is named, read, checked, defaulted and explained. */
export interface Setting<T> {
  /** Its environment variable. */
  readonly env: string
  /** Its flag on the command line, `--port`; null where it has none. */
  readonly flag: string | null
  /** False for what has no place in a file that is checked in or shared by hosts. */
  readonly inFile: boolean
  /** How a value that is or holds a secret is shown; null shows it as it is. */
  readonly mask: ((value: string) => string) | null
  /** A text of the environment or the command line as a value for `schema`; what it cannot read stays text. */
  read(text: string): unknown
  /** Its messages complete the sentence "`key` …": "must be a whole number from 1 to 9". */
  readonly schema: z.ZodType<NonNullable<T>>
  /** The last touch on a valid value: a relative path counts from `directory`, an address loses its last slash. */
  settle(value: NonNullable<T>, directory: string): NonNullable<T>
  fallback(place: Place): T
  /** The default in words, where it is not simply the value. */
  readonly fallbackText: string | null
  /** One sentence, for `config print` and the docs. */
  readonly description: string
}

/** A setting's value and where it came from. */
export interface ConfigValue {
  readonly value: unknown
  /** `default`, the path of the file, `environment DROVER_PORT` or `flag --port`. */
  readonly source: string
}

/** How a kind of value is read, checked and settled. */
export type Kind<T> = Pick<Setting<T>, 'read' | 'schema' | 'settle'>

function kind<T>(
  schema: z.ZodType<NonNullable<T>>,
  options: { read?: (text: string) => unknown; settle?: Kind<T>['settle'] } = {},
): Kind<T> {
  return { schema, read: options.read ?? ((text) => text), settle: options.settle ?? ((value) => value) }
}

/** A whole number. `unit` names what is counted: "milliseconds". */
export function whole(min: number, max: number, unit = ''): Kind<number> {
  const error = `must be a whole number${unit && ` of ${unit}`} from ${min} to ${max}`
  return kind(z.int({ error }).min(min, error).max(max, error), {
    // Only plain digits: Number() would also take "", "0x10", "1e3" and " 7".
    read: (text) => (/^-?\d{1,20}$/.test(text) ? Number(text) : text),
  })
}

/** A duration in milliseconds, at most what a timer can wait. */
export function milliseconds(min: number): Kind<number> {
  return whole(min, LONGEST_TIMER_MS, 'milliseconds')
}

/** true or false; the environment may say 1 and 0 too. */
export const yesOrNo: Kind<boolean> = kind(z.boolean({ error: 'must be true or false' }), {
  read: (text) => ({ true: true, '1': true, false: false, '0': false })[text] ?? text,
})

/** Text of a pattern; `expected` completes the sentence "must be …". */
export function text(pattern: RegExp, expected: string): Kind<string> {
  return kind(z.string({ error: `must be ${expected}` }).regex(pattern, `must be ${expected}`))
}

/** One of a few words. */
export function choice<const V extends readonly string[]>(values: V): Kind<V[number]> {
  return kind(z.enum(values, { error: `must be one of ${values.join(', ')}` }) as z.ZodType<V[number]>)
}

const pathSchema = z
  .string({ error: 'must be a path' })
  .min(1, 'must be a path, not empty')
  .max(4096, 'must be a path of at most 4096 characters')
  .regex(/^[^\0]*$/, 'must be a path without a NUL character')
  .regex(/^(?!~)/, 'must not begin with "~", which is not expanded: write the directory out')

/** A file or directory, absolute once it is settled. */
export const filePath: Kind<string> = kind(pathSchema, {
  settle: (path, directory) => resolve(directory, path),
})

/** Directories, absolute once settled; in the environment with ":" between. */
export const directories: Kind<readonly string[]> = kind<readonly string[]>(
  z.array(pathSchema, { error: 'must be a list of paths' }).min(1, 'must be a list of at least one path'),
  {
    read: (list) => list.split(':'),
    settle: (paths, directory) => paths.map((path) => resolve(directory, path)),
  },
)

/** A list of texts, `separator` between them in the environment; `problem` says what is wrong with one of them. */
export function listOf(separator: string, problem: (item: string) => string | null): Kind<readonly string[]> {
  const error = 'must be a list of texts'
  const schema = z.array(z.string({ error }), { error }).superRefine((items, context) => {
    const problems = items.map(problem).filter((text) => text !== null)
    if (problems.length > 0)
      context.addIssue({ code: 'custom', message: `is refused: ${problems.join('; ')}` })
  })
  return kind<readonly string[]>(schema, {
    read: (text) => text.split(separator).filter((item) => item.trim() !== ''),
  })
}

const HTTP_ADDRESS =
  'must be an http:// or https:// address without user, query or fragment, such as http://127.0.0.1:4680'

/** Address of a board, without a slash at its end. */
export const httpAddress: Kind<string> = kind(
  z.string({ error: HTTP_ADDRESS }).refine((value) => {
    const url = URL.parse(value)
    return (
      url !== null &&
      /^https?:$/.test(url.protocol) &&
      `${url.username}${url.password}${url.search}${url.hash}` === ''
    )
  }, HTTP_ADDRESS),
  { settle: (value) => value.replace(/\/+$/, '') },
)

const REDIS_ADDRESS =
  'must be the address of a Redis such as redis://localhost:6379, rediss://host:6380 or unix:///run/redis.sock'

/**
 * Address of a Redis server. `unix:///run/redis.sock` becomes `/run/redis.sock`: ioredis 6 knows a socket by its
 * plain path (its `parseURL` takes "unix:" for a host name).
 */
export const redisAddress: Kind<string> = kind(
  z.string({ error: REDIS_ADDRESS }).refine((value) => isSocket(value) || isRedisUrl(value), REDIS_ADDRESS),
  { settle: (value) => value.replace(/^unix:\/\//, '') },
)

function isSocket(value: string): boolean {
  return /^(?:unix:\/\/)?\/[^/\0]/.test(value)
}

function isRedisUrl(value: string): boolean {
  const url = URL.parse(value)
  return url !== null && /^rediss?:$/.test(url.protocol) && url.hostname !== ''
}

/** An address without its password, for people and logs. */
export function maskedAddress(address: string): string {
  const url = URL.parse(address)
  // Not a URL: the path of a socket, with parameters of the client (a password among them) after "?".
  if (url === null) return address.replace(/\?.*/s, '?***')
  if (`${url.username}${url.password}${url.search}` === '') return address
  if (url.password !== '') url.password = '***'
  // A name without a password may be a token that was put in its place.
  else if (url.username !== '') url.username = '***'
  if (url.search !== '') url.search = '?***'
  return url.href
}

/** Nothing of a secret. */
export function maskedSecret(): string {
  return '***'
}

type Entry<T> = Pick<Setting<T>, 'env' | 'fallback' | 'description'> &
  Kind<NonNullable<T>> &
  Partial<Pick<Setting<T>, 'flag' | 'inFile' | 'mask' | 'fallbackText'>>

/** A row of the table; what most do not have is left out. */
export function setting<T>(entry: Entry<T>): Setting<T> {
  return { flag: null, inFile: true, mask: null, fallbackText: null, ...entry }
}

/** Reads `drover.toml`: its values by key, and what is wrong with it. */
import { resolve } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import { messageOf, type Issue } from '../core/errors.ts'
import { nearest } from '../core/ids.ts'
import { listSettings } from './settings.ts'
import { readTextFile } from './text-file.ts'

/** The file that is looked for in the current directory. */
const CONFIG_FILE = 'drover.toml'
/** Names the file; the one setting that cannot be in it. */
export const CONFIG_FILE_VARIABLE = 'DROVER_CONFIG'

/** Bytes. A configuration is a page of text. */
const MAX_BYTES = 256 * 1024

/** What a configuration file says. */
export interface ConfigFile {
  /** Absolute. */
  readonly path: string
  /** Values by key, `lease.ttl_ms`; not yet checked. */
  readonly values: ReadonlyMap<string, unknown>
  readonly issues: readonly Issue[]
}

/** The file named by `file` or by `DROVER_CONFIG`, which must exist, else `./drover.toml` if it exists. */
export function readConfigFile(options: {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly file: string | undefined
}): ConfigFile {
  const named = options.file ?? (options.env[CONFIG_FILE_VARIABLE] || undefined)
  const path = resolve(options.cwd, named ?? CONFIG_FILE)
  const read = readTextFile(path, MAX_BYTES)
  if (read.ok) return parseConfigFile(path, read.text)
  if (read.missing && named === undefined) return { path, values: new Map(), issues: [] }

  const namedBy = options.file === undefined ? ` (named by ${CONFIG_FILE_VARIABLE})` : ''
  const source = named === undefined ? path : `${path}${namedBy}`
  return { path, values: new Map(), issues: [{ path: CONFIG_FILE, message: `${source} ${read.problem}` }] }
}

function parseConfigFile(path: string, text: string): ConfigFile {
  const values = new Map<string, unknown>()
  const issues: Issue[] = []
  try {
    collect(parse(text), '', { path, values, issues })
  } catch (error) {
    issues.push({ path: CONFIG_FILE, message: syntaxProblem(path, error) })
  }
  return { path, values, issues }
}

interface Collected {
  readonly path: string
  readonly values: Map<string, unknown>
  readonly issues: Issue[]
}

function collect(table: object, above: string, into: Collected): void {
  const { inFile, elsewhere, groups } = knownKeys()
  for (const [name, value] of Object.entries(table) as [string, unknown][]) {
    const key = `${above}${name}`
    const refuseKey = (message: string): void => {
      into.issues.push({ path: key, message: `${into.path}: ${message}` })
    }
    if (inFile.includes(key)) into.values.set(key, value)
    else if (groups.has(key) && isTable(value)) collect(value, `${key}.`, into)
    else if (groups.has(key)) refuseKey(`"${key}" must be a table: [${key}]`)
    else if (elsewhere.has(key))
      refuseKey(`"${key}" is not read from a file; set ${elsewhere.get(key)} instead`)
    else refuseKey(`unknown key "${key}"${suggestion(key, [...inFile, ...groups])}`)
  }
}

function isTable(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

interface KnownKeys {
  readonly inFile: readonly string[]
  /** Keys that have only an environment variable, and its name. */
  readonly elsewhere: ReadonlyMap<string, string>
  readonly groups: ReadonlySet<string>
}

function knownKeys(): KnownKeys {
  const settings = listSettings()
  return {
    inFile: settings.filter(({ setting }) => setting.inFile).map(({ key }) => key),
    elsewhere: new Map(
      settings.filter(({ setting }) => !setting.inFile).map(({ key, setting }) => [key, setting.env]),
    ),
    groups: new Set(settings.filter(({ path }) => path.length > 1).map(({ path }) => path[0] ?? '')),
  }
}

function suggestion(key: string, known: readonly string[]): string {
  // A key in the wrong table is as common as a misspelt one: `ttl_ms` at the top, `board.max_sessions`.
  const leaf = key.slice(key.lastIndexOf('.') + 1)
  const near = nearest(key, known) ?? known.find((candidate) => candidate.endsWith(`.${leaf}`)) ?? null
  return near === null ? '; docs/configuration.md lists the keys' : `; did you mean "${near}"?`
}

function syntaxProblem(path: string, error: unknown): string {
  if (!(error instanceof TomlError)) return `${path} is not valid TOML: ${messageOf(error)}`
  const [first = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n')
  return `${path}:${error.line}: is not valid TOML: ${first}`
}

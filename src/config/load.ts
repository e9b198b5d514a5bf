/** Resolves the configuration: `drover.toml` < environment < flags, everything checked together, then frozen. */
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import type { Issue } from '../core/errors.ts'
import { readConfigFile, type ConfigFile } from './config-file.ts'
import { unknownVariables } from './environment.ts'
import { deepFreeze } from './freeze.ts'
import { refuse, shown } from './problems.ts'
import { brokenRelations } from './relations.ts'
import type { ConfigValue } from './setting.ts'
import { listSettings, type Config, type NamedSetting } from './settings.ts'

/** Where a configuration comes from. */
export interface ConfigSources {
  /** The process environment, or what stands for it. An empty variable counts as not set. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Absolute; relative paths of environment and flags count from here. */
  readonly cwd: string
  /** Options as the command line gives them: `{ maxSessions: '4' }`. Those that are no setting's flag are left alone. */
  readonly flags?: Readonly<Record<string, unknown>>
  /** The configuration file, in place of `DROVER_CONFIG` and `./drover.toml`; it must exist. */
  readonly file?: string | undefined
}

/** A configuration, and by key (`lease.ttl_ms`) where each value came from. */
export interface LoadedConfig {
  readonly config: Config
  readonly sources: ReadonlyMap<string, ConfigValue>
}

/** One line of `drover config print`. */
export interface ConfigRow {
  readonly key: string
  /** Passwords and tokens are masked. */
  readonly value: unknown
  readonly source: string
  readonly env: string
  readonly description: string
}

/** The frozen configuration. Throws `invalid_request` with all problems at once, each naming its source. */
export function loadConfig({ env, cwd, flags = {}, file }: ConfigSources): LoadedConfig {
  const configFile = readConfigFile({ env, cwd, file })
  const place = { cwd, hostname: hostname(), pid: process.pid }
  const issues: Issue[] = [...configFile.issues, ...unknownVariables(env)]
  const sources = new Map<string, ConfigValue>()

  for (const named of listSettings()) {
    const candidate = strongest(named, { env, cwd, flags, configFile })
    if (candidate === null) {
      sources.set(named.key, { value: named.setting.fallback(place), source: 'default' })
      continue
    }
    const checked = check(named, candidate)
    if ('message' in checked) issues.push(checked)
    else sources.set(named.key, checked)
  }

  issues.push(...brokenRelations(sources))
  if (issues.length > 0) throw refuse('The configuration was refused', issues)
  return { config: assemble(sources), sources }
}

/** What `drover config print` shows, in the order of the table. */
export function configRows({ sources }: LoadedConfig): ConfigRow[] {
  return listSettings().map(({ key, setting }) => {
    const { value = null, source = 'default' } = sources.get(key) ?? {}
    return {
      key,
      value: setting.mask === null ? value : masked(value, setting.mask),
      source,
      env: setting.env,
      description: setting.description,
    }
  })
}

function masked(value: unknown, mask: (text: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => masked(item, mask))
  return typeof value === 'string' ? mask(value) : value
}

interface Candidate {
  readonly raw: unknown
  readonly source: string
  /** Relative paths count from here. */
  readonly directory: string
}

interface Given {
  readonly env: ConfigSources['env']
  readonly cwd: string
  readonly flags: Readonly<Record<string, unknown>>
  readonly configFile: ConfigFile
}

/** The strongest source that has the setting; null leaves it to the default. */
function strongest({ key, setting }: NamedSetting, { env, cwd, flags, configFile }: Given): Candidate | null {
  const option = setting.flag === null ? undefined : flags[optionName(setting.flag)]
  if (option !== undefined) return { raw: option, source: `flag ${setting.flag}`, directory: cwd }

  const variable = env[setting.env]
  if (variable) return { raw: variable, source: `environment ${setting.env}`, directory: cwd }

  const { path, values } = configFile
  return values.has(key) ? { raw: values.get(key), source: path, directory: dirname(path) } : null
}

/** `--max-sessions` → `maxSessions`, as the command line names its options. */
function optionName(flag: string): string {
  return flag.slice(2).replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

function check({ key, setting }: NamedSetting, { raw, source, directory }: Candidate): ConfigValue | Issue {
  // In the file a number is a number and "5" is text; environment and command line know text only.
  const fromFile = source !== `environment ${setting.env}` && source !== `flag ${setting.flag}`
  const value = typeof raw === 'string' && !fromFile ? setting.read(raw) : raw
  const parsed = setting.schema.safeParse(value)
  if (parsed.success) return { value: setting.settle(parsed.data, directory), source }

  const problem = parsed.error.issues[0]?.message ?? 'is not valid'
  const got = setting.mask !== null ? '' : `, not ${shown(raw)}`
  return { path: key, message: `${key} (${source}) ${problem}${got}` }
}

function assemble(values: ReadonlyMap<string, ConfigValue>): Config {
  const single: Record<string, unknown> = {}
  const groups: Record<string, Record<string, unknown>> = {}
  for (const { key, path } of listSettings()) {
    const [first = '', second] = path
    const value = values.get(key)?.value
    if (second === undefined) single[first] = value
    else (groups[first] ??= {})[second] = value
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `Config` is made from the same table, member by member
  return deepFreeze({ ...single, ...groups }) as Config
}

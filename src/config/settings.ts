/**
 * Every setting of Drover in one table: types, defaults, names in the environment, in `drover.toml` and on the
 * command line, and what `docs/configuration.md` says. A setting's key is its place in the table in snake case
 * (`lease.ttlMs` is `lease.ttl_ms`), and its place in `drover.toml` is its key.
 */
import { join } from 'node:path'
import { NAMESPACE_PATTERN, POD_ID_PATTERN } from '../core/ids.ts'
import { writtenProblem } from '../core/redact-patterns.ts'
import { maskedToken, writtenTokenProblem } from '../core/token.ts'
import {
  DATA_DIR,
  HOST,
  LEDGER_BACKUP_KEEP,
  LEDGER_MAX_SIZE_MB,
  LEDGER_RETENTION_DAYS,
  LINEAGE_MAX_CHILDREN,
  LINEAGE_MAX_DEPTH,
  LOG_LEVEL,
  LOG_LEVELS,
  MCP_MAX_RESULT_CHARS,
  NAMESPACE,
  PORT,
} from './defaults.ts'
import { POD_SETTINGS } from './pod-settings.ts'
import {
  setting,
  choice,
  directories,
  filePath,
  httpAddress,
  maskedAddress,
  maskedSecret,
  listOf,
  redisAddress,
  text,
  whole,
  yesOrNo,
  type Place,
  type Setting,
} from './setting.ts'

const SETTINGS = {
  redis: {
    url: setting<string | null>({
      env: 'REDIS_URL',
      flag: '--redis-url',
      ...redisAddress,
      mask: maskedAddress,
      fallback: () => null,
      fallbackText: 'embedded: a Redis of its own under `data_dir`',
      description: 'Address of the Redis or Valkey (6.2 or newer) that all pods and boards share.',
    }),
  },
  namespace: setting<string>({
    env: 'DROVER_NAMESPACE',
    flag: '--namespace',
    ...text(NAMESPACE_PATTERN, 'a namespace such as "team-a" (a-z, 0-9 and -, at most 32 characters)'),
    fallback: () => NAMESPACE,
    description: 'What belongs together: queues, leases and sessions of two namespaces never meet.',
  }),
  dataDir: setting<string>({
    env: 'DROVER_DATA_DIR',
    flag: '--data-dir',
    ...filePath,
    fallback: ({ cwd }) => join(cwd, DATA_DIR),
    fallbackText: `\`./${DATA_DIR}\``,
    description: 'Directory of the ledger, the embedded Redis and the sessions.',
  }),
  toolsDir: setting<string | null>({
    env: 'DROVER_TOOLS_DIR',
    ...filePath,
    fallback: () => null,
    fallbackText: '`tools` under `data_dir`',
    description:
      'Directory of the tools that Drover fetched: Redis, the CLI. Many data directories may share it.',
  }),
  board: {
    host: setting<string>({
      env: 'DROVER_HOST',
      flag: '--host',
      ...text(/^[A-Za-z0-9.:_-]{1,253}$/, 'a host name or an IP address'),
      fallback: () => HOST,
      description: 'Address that the board listens on.',
    }),
    port: setting<number>({
      env: 'DROVER_PORT',
      flag: '--port',
      ...whole(0, 65_535),
      fallback: () => PORT,
      description: 'Port that the board listens on; 0 takes a free one.',
    }),
    tokens: setting<readonly string[]>({
      env: 'DROVER_TOKENS',
      mask: maskedToken,
      ...listOf(',', writtenTokenProblem),
      fallback: () => [],
      fallbackText: 'none: loopback only',
      description:
        'Who may ask, `name:scope+scope:hash`, as `drover tokens create` prints it; see [security.md](security.md) (`,` between them in the environment).',
    }),
    allowedHosts: setting<readonly string[]>({
      env: 'DROVER_ALLOWED_HOSTS',
      ...listOf(',', hostProblem),
      fallback: () => [],
      fallbackText: 'none',
      description:
        'Names that the board is asked by through a proxy, `drover.example` or `drover.example:8443` (`,` between them in the environment).',
    }),
  },
  client: {
    url: setting<string>({
      env: 'DROVER_URL',
      flag: '--url',
      ...httpAddress,
      mask: maskedAddress,
      fallback: () => `http://${HOST}:${PORT}`,
      description: 'Board that the command line and other clients talk to.',
    }),
    token: setting<string | null>({
      env: 'DROVER_TOKEN',
      inFile: false,
      mask: maskedSecret,
      ...text(/^[\x21-\x7e]{1,4096}$/, 'a token of printable characters without spaces'),
      fallback: () => null,
      fallbackText: 'none',
      description: 'Token that clients send to the board.',
    }),
  },
  podId: setting<string>({
    env: 'DROVER_POD_ID',
    inFile: false,
    ...text(POD_ID_PATTERN, 'a name such as "worker-1" (letters, digits, . _ -, at most 128 characters)'),
    fallback: podIdOf,
    fallbackText: 'host name and process id',
    description: 'Name of this worker among all pods.',
  }),
  agentSpecs: setting<string | null>({
    env: 'DROVER_AGENT_SPECS',
    flag: '--agent-specs',
    ...filePath,
    fallback: () => null,
    fallbackText: '`./agent_specs.json` if it exists, else the shipped types',
    description: 'File with the agent types.',
  }),
  workspace: {
    roots: setting<readonly string[]>({
      env: 'DROVER_WORKSPACE_ROOTS',
      ...directories,
      fallback: ({ cwd }) => [cwd],
      fallbackText: 'the current directory',
      description: 'Directories that sessions may work in (`:` between them in the environment).',
    }),
  },
  claude: {
    path: setting<string | null>({
      env: 'DROVER_CLAUDE_PATH',
      ...filePath,
      fallback: () => null,
      fallbackText: '`claude` on the PATH if new enough, else the pinned package under `data_dir`',
      description: 'The Claude Code CLI, or any program that speaks like it.',
    }),
  },
  ledger: {
    retentionDays: setting<number>({
      env: 'DROVER_LEDGER_RETENTION_DAYS',
      ...whole(0, 36_500, 'days'),
      fallback: () => LEDGER_RETENTION_DAYS,
      fallbackText: '0: they stay',
      description:
        'The raw lines of sessions that ended longer ago are taken away; results, own events and totals stay.',
    }),
    maxSizeMb: setting<number>({
      env: 'DROVER_LEDGER_MAX_SIZE_MB',
      ...whole(0, 100_000_000, 'megabytes'),
      fallback: () => LEDGER_MAX_SIZE_MB,
      fallbackText: '0: no limit',
      description: 'While the ledger uses more, the sessions that ended longest ago lose their raw lines.',
    }),
    backupKeep: setting<number>({
      env: 'DROVER_LEDGER_BACKUP_KEEP',
      ...whole(0, 1000, 'backups'),
      fallback: () => LEDGER_BACKUP_KEEP,
      fallbackText: '0: none is made',
      description: 'How many daily backups of the ledger stay in `backups` under `data_dir`.',
    }),
  },
  ...POD_SETTINGS,
  lineage: {
    maxDepth: setting<number>({
      env: 'DROVER_LINEAGE_MAX_DEPTH',
      ...whole(0, 100),
      fallback: () => LINEAGE_MAX_DEPTH,
      description:
        "How deep sessions may start sessions below one that nobody's agent asked for; 0: agents start none.",
    }),
    maxChildren: setting<number>({
      env: 'DROVER_LINEAGE_MAX_CHILDREN',
      ...whole(0, 10_000),
      fallback: () => LINEAGE_MAX_CHILDREN,
      description: 'Sessions that the agents of one session may ask for in its whole life.',
    }),
  },
  mcp: {
    maxResultChars: setting<number>({
      env: 'DROVER_MCP_MAX_RESULT_CHARS',
      ...whole(500, 1_000_000, 'characters'),
      fallback: () => MCP_MAX_RESULT_CHARS,
      description:
        'An output that is longer is cut in the answers of the MCP tools, with the way to get the rest.',
    }),
  },
  redaction: {
    env: setting<readonly string[]>({
      env: 'DROVER_REDACTION_ENV',
      ...listOf(',', variableProblem),
      fallback: () => [],
      fallbackText: 'none',
      description:
        'Names of more variables and headers with secrets, `CORP_*`; of fewer, `!SORT_KEY` (`,` between them in the environment).',
    }),
    patterns: setting<readonly string[]>({
      env: 'DROVER_REDACTION_PATTERNS',
      ...listOf('\n', writtenProblem),
      fallback: () => [],
      fallbackText: 'none',
      description:
        'What is secret by how it looks, `name=expression`; see [redaction.md](redaction.md) (one to a line in the environment).',
    }),
    known: setting<boolean>({
      env: 'DROVER_REDACTION_KNOWN',
      ...yesOrNo,
      fallback: () => true,
      description:
        'Redacts what looks like a key of a well-known service, a private key or a password in an address.',
    }),
  },
  log: {
    level: setting<(typeof LOG_LEVELS)[number]>({
      env: 'DROVER_LOG_LEVEL',
      flag: '--log-level',
      ...choice(LOG_LEVELS),
      fallback: () => LOG_LEVEL,
      description: 'Lowest level that is logged.',
    }),
  },
}

function variableProblem(glob: string): string | null {
  return /^!?[A-Za-z0-9_*-]{2,128}$/.test(glob) ? null : `"${glob.slice(0, 100)}" is no name of a variable`
}

function hostProblem(host: string): string | null {
  return /^[A-Za-z0-9.-]{1,253}(:\d{1,5})?$/.test(host)
    ? null
    : `"${host.slice(0, 100)}" is no name of a host`
}

type ConfigOf<T> = { readonly [K in keyof T]: T[K] extends Setting<infer V> ? V : ConfigOf<T[K]> }

/**
 * Drover's configuration, checked and frozen: `config.lease.ttlMs`. Durations are milliseconds, paths absolute.
 * null: `redis.url` embedded, `client.token` none, `agentSpecs` found or shipped, `claude.path` searched,
 * `worker.maxSessions` the number of agent types.
 */
export type Config = ConfigOf<typeof SETTINGS>

/** Whatever the value's type. */
type AnySetting = Setting<unknown>

/** A setting with its names. */
export interface NamedSetting {
  /** `lease.ttl_ms`: in `drover.toml`, in messages and in `config print`. */
  readonly key: string
  /** `['lease', 'ttlMs']`: in `Config`. */
  readonly path: readonly string[]
  readonly setting: AnySetting
}

/** All settings, in the order of the table. */
export function listSettings(): NamedSetting[] {
  return flatten(SETTINGS, [])
}

function flatten(tree: object, above: readonly string[]): NamedSetting[] {
  return Object.entries(tree).flatMap(([name, member]: [string, object]) => {
    const path = [...above, name]
    if (!isSetting(member)) return flatten(member, path)
    return [{ key: path.map(snakeCase).join('.'), path, setting: member }]
  })
}

function isSetting(member: object): member is AnySetting {
  return 'schema' in member
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function podIdOf({ hostname, pid }: Place): string {
  // A host name may hold what a pod id may not; a dot or dash in front would be taken for a file or an option.
  const host = hostname.replaceAll(/[^A-Za-z0-9._-]/g, '-').replace(/^[^A-Za-z0-9]+/, '')
  return `${host.slice(0, 100) || 'pod'}-${pid}`
}

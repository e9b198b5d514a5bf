/**
 * The environment of the CLI, and so of everything it runs: its Bash tool inherits all of it (measured). An
 * allow-list (CONTRACT §7), so that a secret of the worker reaches no agent by accident.
 */
import type { AgentSpec } from '../config/agent-spec.ts'

/** Variables by name. */
export type Variables = Readonly<Record<string, string | undefined>>

/** What decides an agent's environment. */
export interface EnvironmentInput {
  /** The worker's own environment. */
  readonly from: Variables
  readonly spec: AgentSpec
  readonly sessionId: string
  readonly agentId: string
  readonly agentType: string
  readonly taskId: string | null
  readonly orchestratorId: string | null
  /** 1 for the session's first agent. */
  readonly attempt: number
  /** Without output and CPU for so long an agent is stalled; the spec's own value wins. */
  readonly idleTimeoutMs: number
  /** Until the CLI must have confirmed its start. */
  readonly startupTimeoutMs: number
  /** Where agents reach Drover. */
  readonly url: string
  /** What the agent shows Drover. */
  readonly token: string
  /** A configuration directory for this session alone, used where credentials come by environment. */
  readonly configDir: string
  /** The home of a rehearsal. */
  readonly home: string
  /** For temporary files and sockets; at most 80 bytes long (`directory.ts`). */
  readonly tmpDir: string
  /** A rehearsal's own variables (base URL, dummy key, headers); null for a real account. */
  readonly rehearsal: Readonly<Record<string, string>> | null
}

const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY']
const ALLOWED: ReadonlySet<string> = new Set(
  ['PATH', 'HOME', 'USER', 'LANG', 'TZ', 'TERM', 'SSH_AUTH_SOCK', 'CLAUDE_CODE_OAUTH_TOKEN'].concat(
    PROXIES,
    PROXIES.map((name) => name.toLowerCase()),
  ),
)
const ALLOWED_PREFIXES = ['LC_', 'ANTHROPIC_']

/** What could name or reach a real account. */
const ACCOUNT =
  /^(ANTHROPIC|CLAUDE|AWS|AMAZON|GOOGLE|GCLOUD|GCP|CLOUDSDK|CLOUD_ML|AZURE)|VERTEX|BEDROCK|FOUNDRY/i

/** Any of these lets the CLI work without a login in the user's configuration directory. */
const CREDENTIALS = ['ANTHROPIC_API_KEY', 'ANTHROPIC_AUTH_TOKEN', 'CLAUDE_CODE_OAUTH_TOKEN']

/** Milliseconds: the CLI's own default for the vendor's address, per attempt. */
const LONGEST_API_TIMEOUT_MS = 600_000
/** Milliseconds: the CLI's own default for the vendor's address (300 s behind another one); 10 s is its least. */
const LONGEST_STREAM_IDLE_MS = 180_000
const SHORTEST_STREAM_IDLE_MS = 10_000
/**
 * Of the startup timeout. The CLI waits 30 s for an MCP server that never answers (measured) and says nothing before: it
 * must go on without it in time, and say so.
 */
const MCP_SHARE = 0.6

/**
 * The CLI's own limits, so that it gives up on a silent API before its silence is called a stall. The longest silence
 * of a healthy agent is then a stream that dies, at once followed by one attempt without streaming (measured; the
 * retries after it print a line each): under half of the idle timeout. Only a stream that sends pings and nothing else
 * keeps the CLI for 600 s (measured) before that attempt: 1200 of the default 1800 s.
 */
function limitsFor({ spec, idleTimeoutMs, startupTimeoutMs }: EnvironmentInput): Record<string, string> {
  const idleMs = spec.idleTimeoutSeconds === null ? idleTimeoutMs : spec.idleTimeoutSeconds * 1000
  const streamIdleMs = Math.max(SHORTEST_STREAM_IDLE_MS, Math.min(LONGEST_STREAM_IDLE_MS, idleMs / 10))
  return {
    ...LIMITS,
    /** Per attempt. */
    API_TIMEOUT_MS: String(Math.round(Math.min(LONGEST_API_TIMEOUT_MS, idleMs / 3))),
    /** A stream without a byte (the API sends pings) is dead. */
    MCP_TIMEOUT: String(Math.round(startupTimeoutMs * MCP_SHARE)),
    CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS: String(Math.round(streamIdleMs)),
    ...(spec.backgroundTasks ? {} : NO_BACKGROUND),
  }
}

const LIMITS = {
  /** No updates and no telemetry: an agent's process is of the version that was checked. */
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  /** Default 10 = 184 s for each failing call, a wrong key included. 8 = about 110 s; Drover's restarts come on top. */
  CLAUDE_CODE_MAX_RETRIES: '8',
  /**
   * What subagents say is printed too, so that the record has it, and what it used is known when no result comes. Not
   * the flag: a CLI that does not know it ends at once (it was taken back once, in 2.1.214).
   */
  CLAUDE_CODE_FORWARD_SUBAGENT_TEXT: '1',
}
/** A Bash call over its time is ended instead of going on behind the result, and a session has one result per turn. */
const NO_BACKGROUND = { CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '1' }
/** Loopback is the scripted model; a proxy of the machine would be asked for it. */
const LOOPBACK = '127.0.0.1,localhost,::1'

/**
 * The whole environment of an agent. `env.SET` of the spec wins over everything but the agent's identity and
 * directories and, in a rehearsal, what keeps it from a real account.
 */
export function buildEnvironment(input: EnvironmentInput): Record<string, string> {
  const { from, spec, rehearsal } = input
  const chosen = { ...limitsFor(input), ...inherited(from, spec), ...spec.env.set }
  const account =
    rehearsal === null ? { ...chosen, ...configuration(chosen, input) } : rehearsed(chosen, input, rehearsal)
  return { ...account, ...temporary(input), ...identity(input) }
}

/** What the child gets of the worker's own variables. */
function inherited(from: Variables, spec: AgentSpec): Record<string, string> {
  const isAllowed = (name: string): boolean =>
    ALLOWED.has(name) ||
    ALLOWED_PREFIXES.some((prefix) => name.startsWith(prefix)) ||
    spec.env.pass.includes(name)
  return defined(Object.entries(from).filter(([name]) => isAllowed(name)))
}

/** Sessions of one directory see each other's: one for each session, unless the login is in the user's. */
function configuration(chosen: Variables, input: EnvironmentInput): Record<string, string> {
  if (CREDENTIALS.some((name) => chosen[name])) return { CLAUDE_CONFIG_DIR: input.configDir }
  return defined([['CLAUDE_CONFIG_DIR', input.from['CLAUDE_CONFIG_DIR']]])
}

/** Both names, or the CLI leaves files in the machine's own directory; its sockets go there too. */
function temporary({ tmpDir }: EnvironmentInput): Record<string, string> {
  return { TMPDIR: tmpDir, CLAUDE_CODE_TMPDIR: tmpDir }
}

/** Nothing of the caller's accounts, whatever the spec passes or sets. */
function rehearsed(
  chosen: Variables,
  input: EnvironmentInput,
  rehearsal: Readonly<Record<string, string>>,
): Record<string, string> {
  const harmless = Object.entries(chosen).filter(
    ([name]) => !ACCOUNT.test(name) || Object.hasOwn({ ...limitsFor(input), ...NO_BACKGROUND }, name),
  )
  const bypass = (name: string): string => (chosen[name] ? `${chosen[name]},${LOOPBACK}` : LOOPBACK)
  return {
    ...defined(harmless),
    HOME: input.home,
    CLAUDE_CONFIG_DIR: input.configDir,
    NO_PROXY: bypass('NO_PROXY'),
    no_proxy: bypass('no_proxy'),
    ...rehearsal,
  }
}

/** Who the agent is, for its tools and hooks and for what it calls of Drover. */
function identity(input: EnvironmentInput): Record<string, string> {
  const { taskId, orchestratorId } = input
  return {
    AGENT_ID: input.agentId,
    AGENT_TYPE: input.agentType,
    DROVER_SESSION_ID: input.sessionId,
    DROVER_URL: input.url,
    DROVER_TOKEN: input.token,
    DROVER_TOOLS: input.spec.orchestratorTools.join(','),
    DROVER_ATTEMPT: String(input.attempt),
    ...(taskId === null ? {} : { TASK_ID: taskId }),
    ...(orchestratorId === null
      ? {}
      : { ORCHESTRATOR_ID: orchestratorId, ORCHESTRATOR_INSTANCE_ID: orchestratorId }),
  }
}

function defined(entries: readonly (readonly [string, string | undefined])[]): Record<string, string> {
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== undefined))
}

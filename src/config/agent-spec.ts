/** How an agent type is launched (CONTRACT §7), as the rest of Drover reads it. `spec-schema.ts` checks the written form. */
import { DroverError } from '../core/errors.ts'
import { didYouMean } from '../core/ids.ts'
import type { PromptTemplate } from '../core/type-view.ts'

/** The choices of `claude --permission-mode` (CLI 2.1.329). */
export const PERMISSION_MODES = [
  'acceptEdits',
  'auto',
  'bypassPermissions',
  'manual',
  'dontAsk',
  'plan',
] as const

/** Who decides a tool call that no rule allows: a person (`waiting_input`), or nobody. */
export const PERMISSION_PROMPTS = ['ask', 'deny'] as const

/** The choices of `claude --setting-sources` (CLI 2.1.329). */
export const SETTING_SOURCES = ['user', 'project', 'local'] as const

/** The tools of Drover's own MCP server (CONTRACT §6). */
export const ORCHESTRATOR_TOOLS = [
  'spawn_agent',
  'spawn_agent_async',
  'check_session',
  'wait_session',
  'kill_agent',
  'restart_agent',
  'send_to_agent',
  'search_agents',
  'list_agent_types',
  'get_active_sessions',
  'send_message',
  'broadcast',
  'check_inbox',
  'reply_to',
  'acknowledge',
  'get_cost',
] as const
/** One of them. */
export type OrchestratorTool = (typeof ORCHESTRATOR_TOOLS)[number]

/** Where a session works: in the given directory, or in a git worktree of its own. */
export const WORKSPACE_KINDS = ['shared', 'worktree'] as const

/** A checked agent type, read-only. Where a limit is null, the configuration's value of the same name counts. */
export interface AgentSpec {
  /** The agent type, `code_developer`. */
  readonly name: string
  readonly description: string
  readonly useCases: readonly string[]
  /** Alias or full name, as `claude --model` takes it. */
  readonly model: string
  readonly fallbackModel: string | null
  /** Absolute path of the MCP config file. It is read when a session starts, by `readMcpConfig`. */
  readonly mcpConfig: string | null
  /** A failed MCP server fails the session, instead of being a warning. */
  readonly requireMcp: boolean
  /** Appended to the CLI's own system prompt. */
  readonly systemPrompt: string | null
  /** `claude --agent`: an agent file of the workspace or the user. */
  readonly agent: string | null
  readonly templates: readonly PromptTemplate[]
  readonly allowedTools: readonly string[]
  readonly disallowedTools: readonly string[]
  readonly orchestratorTools: readonly OrchestratorTool[]
  /** How a tool call that no rule allows is decided. */
  readonly permissionMode: (typeof PERMISSION_MODES)[number]
  /** `ask`: a tool call that no rule allows waits for a person; `deny`: it is denied. */
  readonly permissionPrompts: (typeof PERMISSION_PROMPTS)[number]
  /** Seconds; null = `session.permission_wait_ms`. */
  readonly permissionWaitSeconds: number | null
  readonly settingSources: readonly (typeof SETTING_SOURCES)[number][]
  /** Paths relative to the workspace that must exist for a success. */
  readonly expectFiles: readonly string[]
  /** Seconds; bounds the session as a whole, restarts included. */
  readonly timeout: number
  /** Seconds; null = `session.startup_timeout_ms`. */
  readonly startupTimeoutSeconds: number | null
  /** Seconds; null = `liveness.stall_timeout_ms`. */
  readonly stallTimeoutSeconds: number | null
  /** Seconds; null = `liveness.idle_timeout_ms`. */
  readonly idleTimeoutSeconds: number | null
  readonly autoRestart: boolean
  /** null = `restart.max_restarts`. */
  readonly maxRestarts: number | null
  /** Agents of the type that may run at once in the cluster. */
  readonly maxInstances: number
  readonly maxTurns: number | null
  /** US dollars */
  readonly maxBudgetUsd: number | null
  readonly workspace: (typeof WORKSPACE_KINDS)[number]
  readonly env: {
    /** Variables of the worker's environment that the child gets too. */
    readonly pass: readonly string[]
    readonly set: Readonly<Record<string, string>>
  }
  readonly backgroundTasks: boolean
}

/** The spec of a type. Throws `agent_type_not_found` with "did you mean" where a name is near. */
export function findAgentType(specs: ReadonlyMap<string, AgentSpec>, name: string): AgentSpec {
  const spec = specs.get(name)
  if (spec !== undefined) return spec
  const hint = didYouMean(name, [...specs.keys()])
  throw new DroverError('agent_type_not_found', `There is no agent type "${name}".${hint}`, {
    agent_type: name,
  })
}

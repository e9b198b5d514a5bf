/**
 * The command line of the CLI (2.1.329). It is shown in lists and readable in /proc by every user of the machine:
 * never the prompt, never a secret.
 */
import type { AgentSpec } from '../config/agent-spec.ts'

/** Bytes. Linux takes 128 KiB for one argument (measured: 120 kB worked, 200 kB gave E2BIG). */
export const SYSTEM_PROMPT_ARGUMENT_LIMIT = 100 * 1024

/** What decides the command line. */
export interface ArgvInput {
  readonly spec: AgentSpec
  readonly sessionId: string
  /** Goes on with the session's transcript. A session id is taken once: a second `--session-id` is refused. */
  readonly resume: boolean
  /** Begins this session with a copy of that one's conversation, which stays as it is. Not together with `resume`. */
  readonly forkOf?: string | null
  /** The prepared MCP config (`mcp.ts`), or null for no MCP server. */
  readonly mcpConfigPath: string | null
  /** Tools of Drover's own server, as the CLI names them: granted by the spec, so allowed without asking. */
  readonly orchestratorTools?: readonly string[]
  /** The prepared system prompt (`system-prompt.ts`) where it is too long for an argument. */
  readonly systemPromptPath?: string | null
  /** What `spec.agent` is (`agent-file.ts`), where the CLI does not know it by itself. */
  readonly agentsPath?: string | null
}

/**
 * The arguments after the program's name. Values are joined with `=`: a list option takes everything that follows
 * it otherwise, and no value can be read as an option.
 */
export function buildArgv(input: ArgvInput): string[] {
  const { spec, mcpConfigPath, orchestratorTools = [], systemPromptPath = null, agentsPath = null } = input
  return [
    '-p',
    '--input-format=stream-json',
    '--output-format=stream-json',
    // Without it the CLI refuses stream-json output.
    '--verbose',
    ...conversation(input),
    `--model=${spec.model}`,
    ...option('--fallback-model', spec.fallbackModel),
    `--permission-mode=${spec.permissionMode}`,
    // Then it asks on its standard output what no rule allows, and waits for the answer on its input.
    ...(spec.permissionPrompts === 'ask' ? ['--permission-prompt-tool=stdio'] : []),
    ...list('--allowedTools', [...spec.allowedTools, ...orchestratorTools]),
    ...list('--disallowedTools', spec.disallowedTools),
    ...(systemPromptPath === null
      ? option('--append-system-prompt', spec.systemPrompt)
      : [`--append-system-prompt-file=${systemPromptPath}`]),
    ...option('--agents', agentsPath),
    ...option('--agent', spec.agent),
    `--setting-sources=${spec.settingSources.join(',')}`,
    ...option('--mcp-config', mcpConfigPath),
    // The spec's servers and no others: a server of the project that nobody approved holds the start up for 2 s.
    '--strict-mcp-config',
    ...option('--max-turns', spec.maxTurns),
    ...option('--max-budget-usd', spec.maxBudgetUsd),
  ]
}

function conversation({ sessionId, resume, forkOf = null }: ArgvInput): string[] {
  if (resume) return [`--resume=${sessionId}`]
  // The CLI takes both ids only together with the flag.
  if (forkOf !== null) return [`--resume=${forkOf}`, '--fork-session', `--session-id=${sessionId}`]
  return [`--session-id=${sessionId}`]
}

function option(name: string, value: string | number | null): string[] {
  return value === null ? [] : [`${name}=${value}`]
}

function list(name: string, values: readonly string[]): string[] {
  return values.length === 0 ? [] : [`${name}=${values.join(',')}`]
}

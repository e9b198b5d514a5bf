/** The MCP config as the CLI gets it. */
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { AgentSpec } from '../config/agent-spec.ts'
import { readMcpConfig, type McpConfig } from '../config/mcp-config.ts'
import type { Secret } from '../core/redact.ts'
import {
  secretsOfAddress,
  secretsOfArguments,
  secretsOfHeaders,
  secretsOfVariables,
  type NameRule,
} from '../core/secrets.ts'

/** The name of Drover's own server: the CLI calls its tools `mcp__orchestrator__…`. */
const ORCHESTRATOR = 'orchestrator'
/** Beside the session's MCP config. */
const SETTINGS_FILE = 'drover.toml'

/** How the CLI starts a program. */
export interface OwnProgram {
  readonly command: string
  readonly args: readonly string[]
}

/** Where the CLI finds it, and what it says. */
export interface PreparedMcp {
  readonly path: string
  readonly config: McpConfig
}

/**
 * Writes the MCP config of a session to `file`, with its `mcpServers` wrapper: the spec's own servers, checked, and
 * Drover's (`drover` is its command), which a spec that grants no tool of it does without, and one with an
 * `orchestrator` of its own replaces. Null where there is no server.
 *
 * The CLI would go on without the servers of a broken file and say nothing: throws `invalid_request`.
 */
export async function prepareMcpConfig(
  spec: AgentSpec,
  drover: OwnProgram | null,
  file: string,
): Promise<PreparedMcp | null> {
  const given = spec.mcpConfig === null ? {} : readMcpConfig(spec.mcpConfig).mcpServers
  const settings = join(dirname(file), SETTINGS_FILE)
  const own =
    drover === null || spec.orchestratorTools.length === 0
      ? {}
      : { [ORCHESTRATOR]: serverOf(drover, settings) }
  const config = { mcpServers: { ...own, ...given } }
  if (Object.keys(config.mcpServers).length === 0) return null
  await writeFile(settings, '', { mode: 0o600 })
  // It may hold the servers' keys: for this user only.
  await writeFile(file, JSON.stringify(config), { mode: 0o600 })
  return { path: file, config }
}

/** Those without which an agent of the spec is ended: of its own config, never the orchestrator's, which Drover adds. */
export function requiredServers(spec: AgentSpec): string[] {
  if (!spec.requireMcp || spec.mcpConfig === null) return []
  return Object.keys(readMcpConfig(spec.mcpConfig).mcpServers)
}

/**
 * Over its standard streams and not over HTTP: it answers the CLI's first questions without the board, so that no
 * session starts later or without its tools because the board is away, and it waits through a board that is started
 * again, where the CLI (2.1.329) was still waiting 100 s after a connection was cut (docs/mcp.md says what was measured).
 * Who it acts for is in the environment that the CLI hands on. Its settings are an empty file: the CLI starts it in the
 * workspace, whose `drover.toml` is the repository's and none of ours.
 */
function serverOf({ command, args }: OwnProgram, settings: string): Readonly<Record<string, unknown>> {
  return { type: 'stdio', command, args: [...args, 'mcp'], env: { DROVER_CONFIG: settings } }
}

/** The tools of Drover's server that a session may call, as the CLI names them; none where it has no such server. */
export function orchestratorTools(spec: AgentSpec, prepared: PreparedMcp | null): string[] {
  if (prepared === null || !Object.hasOwn(prepared.config.mcpServers, ORCHESTRATOR)) return []
  return spec.orchestratorTools.map((tool) => `mcp__${ORCHESTRATOR}__${tool}`)
}

/** What the servers were given in their environments, headers, arguments and addresses. */
export function secretsOfMcp({ mcpServers }: McpConfig, isSecret: NameRule): Secret[] {
  return Object.values(mcpServers).flatMap(({ env, headers, args, url }) => [
    ...secretsOfVariables(textsOf(env), isSecret),
    ...secretsOfHeaders(textsOf(headers), isSecret),
    ...secretsOfArguments(Array.isArray(args) ? args : [], isSecret),
    ...secretsOfAddress('mcp_url', typeof url === 'string' ? url : '', isSecret),
  ])
}

function textsOf(members: unknown): Record<string, string> {
  if (typeof members !== 'object' || members === null) return {}
  return Object.fromEntries(
    Object.entries(members).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}

/** The MCP config as the CLI gets it. */
import { writeFile } from 'node:fs/promises'
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

/** Where the CLI finds it, and what it says. */
export interface PreparedMcp {
  readonly path: string
  readonly config: McpConfig
}

/**
 * Writes the spec's MCP config, checked and with its `mcpServers` wrapper, to `file`; null where the spec has none. The CLI would go on without the servers of a broken file and say nothing: throws `invalid_request`.
 */
export async function prepareMcpConfig(spec: AgentSpec, file: string): Promise<PreparedMcp | null> {
  if (spec.mcpConfig === null) return null
  // It may hold the servers' keys: for this user only.
  const config = readMcpConfig(spec.mcpConfig)
  await writeFile(file, JSON.stringify(config), { mode: 0o600 })
  return { path: file, config }
}

/** Those without which an agent of the spec is ended: of its own config, never the orchestrator's, which Drover adds. */
export function requiredServers(spec: AgentSpec): string[] {
  if (!spec.requireMcp || spec.mcpConfig === null) return []
  return Object.keys(readMcpConfig(spec.mcpConfig).mcpServers)
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

/** The MCP config as the CLI gets it. */
import { writeFile } from 'node:fs/promises'
import type { AgentSpec } from '../config/agent-spec.ts'
import { readMcpConfig } from '../config/mcp-config.ts'

/**
 * Writes the spec's MCP config, checked and with its `mcpServers` wrapper, to `file`; the path, or null where the
 * spec has none. The CLI would go on without the servers of a broken file and say nothing: throws `invalid_request`.
 */
export async function prepareMcpConfig(spec: AgentSpec, file: string): Promise<string | null> {
  if (spec.mcpConfig === null) return null
  // It may hold the servers' keys: for this user only.
  await writeFile(file, JSON.stringify(readMcpConfig(spec.mcpConfig)), { mode: 0o600 })
  return file
}

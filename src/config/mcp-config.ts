/** MCP config files: which servers an agent's CLI connects to. */
import { z } from 'zod'
import { DroverError } from '../core/errors.ts'
import { parseJson } from './json-text.ts'
import { readTextFile } from './text-file.ts'

/** Bytes. A list of servers is a page of text. */
const MAX_BYTES = 256 * 1024

/** What the CLI takes for `--mcp-config`: servers by name. A server's own members are the CLI's business. */
export interface McpConfig {
  readonly mcpServers: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

const serverSchema = z
  .looseObject({ command: z.string().min(1).optional(), url: z.string().min(1).optional() })
  .refine((server) => server.command !== undefined || server.url !== undefined)

/**
 * Reads an MCP config file, with the `mcpServers` wrapper or, as in the second source document, without it.
 * Throws `invalid_request` with a sentence: the CLI would run without the servers of a broken file and say nothing.
 */
export function readMcpConfig(path: string): McpConfig {
  const read = readTextFile(path, MAX_BYTES)
  if (!read.ok) throw refused(path, read.problem)
  const json = parseJson(read.text)
  if (!json.ok) throw refused(path, `${json.problem} (line ${json.line})`)
  const servers = unwrap(path, json.value)
  const mcpServers: Record<string, z.output<typeof serverSchema>> = {}
  for (const [name, server] of Object.entries(servers)) {
    const parsed = serverSchema.safeParse(server)
    if (!parsed.success) {
      throw refused(
        path,
        `describes no server under "${name}": it needs a "command" to start or a "url" to reach`,
      )
    }
    mcpServers[name] = parsed.data
  }
  return { mcpServers }
}

function unwrap(path: string, document: unknown): Record<string, unknown> {
  if (!isObject(document)) throw refused(path, 'must be a JSON object of MCP servers by name')
  if (!('mcpServers' in document)) return document
  if (isObject(document.mcpServers)) return document.mcpServers
  throw refused(path, 'has "mcpServers", but it is not an object of servers by name')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function refused(path: string, problem: string): DroverError {
  return new DroverError('invalid_request', `The MCP config ${path} ${problem}.`, {
    issues: [{ path: 'mcp_config', message: `${path} ${problem}` }],
  })
}

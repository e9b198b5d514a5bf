/** MCP config files: which servers an agent's CLI connects to. */
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { z } from 'zod'
import { DroverError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import { parseJson } from './json-text.ts'
import { readTextFile } from './text-file.ts'

/** Bytes. A list of servers is a page of text. */
const MAX_BYTES = 256 * 1024

/** What the CLI takes for `--mcp-config`: servers by name. A server's own members are the CLI's business. */
export interface McpConfig {
  readonly mcpServers: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

const serverSchema = z
  .looseObject({
    command: z.string().min(1).optional(),
    url: z.string().min(1).optional(),
    args: z.array(z.string()).optional(),
    env: z.record(z.string(), z.string()).optional(),
    headers: z.record(z.string(), z.string()).optional(),
  })
  .refine((server) => server.command !== undefined || server.url !== undefined)

/**
 * Reads an MCP config file, with the `mcpServers` wrapper or, as in the second source document, without it.
 * Throws `invalid_request` with all its problems: the CLI would run without the servers of a broken file and say nothing.
 */
export function readMcpConfig(path: string): McpConfig {
  const read = readTextFile(path, MAX_BYTES)
  if (!read.ok) throw refused(path, read.problem)
  const json = parseJson(read.text)
  if (!json.ok) throw refused(path, `${json.problem} (line ${json.line})`)
  const servers = unwrap(path, json.value)
  const mcpServers: Record<string, z.output<typeof serverSchema>> = {}
  const problems: string[] = []
  for (const [name, server] of Object.entries(servers)) {
    const parsed = serverSchema.safeParse(server)
    if (parsed.success) mcpServers[name] = parsed.data
    else problems.push(...problemsOf(name, parsed.error))
  }
  if (problems.length > 0) throw refused(path, ...problems)
  return { mcpServers }
}

/**
 * The servers whose command is no program here, each with why. The CLI would go on without them.
 *
 * @param searchPath the agent's `PATH`
 * @param cwd where the agent works, for commands with a relative path
 */
export function absentCommands({ mcpServers }: McpConfig, searchPath: string, cwd: string): string[] {
  return Object.entries(mcpServers).flatMap(([name, { command, env }]) => {
    if (typeof command !== 'string') return []
    const own = isJsonObject(env) && typeof env['PATH'] === 'string' ? env['PATH'] : searchPath
    // The CLI puts variables in their place: what they are is known only there.
    if (command.includes('${') || isProgram(command, own, cwd)) return []
    return [`"${name}" starts "${command}", which is no program on this pod`]
  })
}

function isProgram(command: string, searchPath: string, cwd: string): boolean {
  const candidates = command.includes('/')
    ? [isAbsolute(command) ? command : resolve(cwd, command)]
    : searchPath.split(delimiter).map((dir) => join(dir, command))
  return candidates.some((file) => {
    try {
      accessSync(file, constants.X_OK)
      return statSync(file).isFile()
    } catch {
      return false
    }
  })
}

function problemsOf(name: string, error: z.ZodError): string[] {
  const members = new Set(error.issues.map(({ path }) => String(path[0])))
  const misshapen = Object.entries(SHAPES).filter(([member]) => members.has(member))
  if (misshapen.length === 0) {
    return [`describes no server under "${name}": it needs a "command" to start or a "url" to reach`]
  }
  return misshapen.map(([member, shape]) => `describes no server under "${name}": its "${member}" ${shape}`)
}

const SHAPES = {
  args: 'must be a list of texts',
  env: 'must be an object of texts',
  headers: 'must be an object of texts',
}

function unwrap(path: string, document: unknown): Record<string, unknown> {
  if (!isJsonObject(document)) throw refused(path, 'must be a JSON object of MCP servers by name')
  if (!('mcpServers' in document)) return document
  if (isJsonObject(document.mcpServers)) return document.mcpServers
  throw refused(path, 'has "mcpServers", but it is not an object of servers by name')
}

function refused(path: string, ...problems: readonly string[]): DroverError {
  return new DroverError('invalid_request', `The MCP config ${path} ${problems.join('; ')}.`, {
    issues: problems.map((problem) => ({ path: 'mcp_config', message: `${path} ${problem}` })),
  })
}

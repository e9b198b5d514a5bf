/** The MCP server: the tools that a caller may use, as `@modelcontextprotocol/server` serves them. */
import {
  McpServer,
  type CallToolResult,
  type ServerContext,
  type StandardSchemaWithJSON,
} from '@modelcontextprotocol/server'
import { z } from 'zod'
import { DroverError, isDroverError } from '../core/errors.ts'
import type { HttpClient } from '../producer/http-client.ts'
import { createProgress } from './progress.ts'
import { registerResources } from './resources.ts'
import type { Tool, ToolContext } from './tool.ts'
import { TOOLS } from './tools/index.ts'

/** Read by the model before any tool: what all of them are for. */
const INSTRUCTIONS =
  'Starts Claude Code agents as durable jobs and waits for them. One agent per type runs at a time; others wait in ' +
  'line. Find a type with search_agents, run it with spawn_agent. What was started goes on when a wait ends: ' +
  'wait_session waits again, only kill_agent ends it.'

export interface McpServerOptions {
  /** Drover, with the caller's rights. */
  readonly client: HttpClient
  /** The session whose agent calls; null for anybody else. */
  readonly session: string | null
  /** The only tools that it has; null: all. */
  readonly tools: readonly string[] | null
  readonly maxResultChars: number
  readonly version: string
  /** Aborts when this program is told to stop: what waits is answered, with the way to wait again. */
  readonly stopping?: AbortSignal
  /** Told what is no answer to a caller. */
  readonly onError: (error: unknown) => void
}

/** A server for one caller: a connection over stdio, a request over HTTP. */
export function createMcpServer(options: McpServerOptions): McpServer {
  const server = new McpServer(
    { name: 'orchestrator', title: 'Drover', version: options.version },
    { instructions: INSTRUCTIONS },
  )
  const has = ({ name }: Pick<Tool, 'name'>): boolean => options.tools?.includes(name) ?? true
  for (const tool of TOOLS.filter(has)) {
    server.registerTool(
      tool.name,
      {
        description: tool.description,
        inputSchema: shown(tool.input),
        ...(tool.readOnly ? { annotations: { readOnlyHint: true } } : {}),
      },
      async (args, context) => await call(tool, args, context, options),
    )
  }
  registerResources(server, options, has)
  return server
}

/** What goes wrong is a tool's error with our code: the model can read it, and go on. */
async function call(
  tool: Tool,
  args: unknown,
  { mcpReq }: ServerContext,
  options: McpServerOptions,
): Promise<CallToolResult> {
  const { client, session, maxResultChars, stopping } = options
  const say = sayOf(mcpReq)
  const signal = stopping === undefined ? mcpReq.signal : AbortSignal.any([mcpReq.signal, stopping])
  const context: ToolContext = {
    client,
    session,
    maxResultChars,
    signal,
    say,
    follow: say === null ? undefined : createProgress(say),
  }
  try {
    return answerOf(await tool.call(args, context))
  } catch (error) {
    if (isDroverError(error)) return { ...answerOf(error.toAnswer()), isError: true }
    options.onError(error)
    const failed = new DroverError('internal_error', `${tool.name} failed. The reason is in Drover's log.`)
    return { ...answerOf(failed.toAnswer()), isError: true }
  }
}

/** Once as text, for clients that know no more, and once as it is. */
function answerOf(document: object): CallToolResult {
  return {
    content: [{ type: 'text', text: JSON.stringify(document) }],
    structuredContent: { ...document },
  }
}

/** Progress, for who gave a token for it. Numbers only have to grow. */
function sayOf({ _meta, notify }: ServerContext['mcpReq']): ((message: string) => void) | null {
  const progressToken = _meta?.progressToken
  if (progressToken === undefined) return null
  let progress = 0
  return (message) => {
    progress += 1
    // Whoever has gone does not want to hear of it.
    notify({ method: 'notifications/progress', params: { progressToken, progress, message } }).catch(() => {})
  }
}

/**
 * The schema as it is listed, without what tells a model nothing. What comes in is checked by the tool itself: all
 * that is wrong at once, as `invalid_request`.
 */
function shown(input: z.ZodObject): StandardSchemaWithJSON {
  const { $schema: _dialect, additionalProperties: _strict, ...json } = z.toJSONSchema(input, { io: 'input' })
  const converted = (): Record<string, unknown> => json
  return {
    '~standard': {
      version: 1,
      vendor: 'drover',
      validate: (value: unknown) => ({ value }),
      jsonSchema: { input: converted, output: converted },
    },
  }
}

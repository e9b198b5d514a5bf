/** What a tool of the MCP server is. Over stdio and over HTTP they are the same ones. */
import type { z } from 'zod'
import type { OrchestratorTool } from '../config/agent-spec.ts'
import type { Envelope } from '../core/envelope.ts'
import { parseRequest } from '../core/request.ts'
import type { HttpClient } from '../producer/http-client.ts'

/** What a call has to do its work. */
export interface ToolContext {
  /** Drover, with the caller's rights: the board decides what it may. */
  readonly client: HttpClient
  /** The session whose agent calls; null for anybody else. */
  readonly session: string | null
  /** An output that is longer is cut. */
  readonly maxResultChars: number
  /** Ends what the call waits for, and nothing else. */
  readonly signal: AbortSignal
  /** How far it is, where the caller wants to know. */
  readonly say: ((message: string) => void) | null
  /** Tells of a session that is waited for, where the caller wants to know. */
  readonly follow: ((event: Envelope) => void) | undefined
}

/** A tool, whatever its arguments are. */
export interface Tool {
  readonly name: OrchestratorTool
  /** Every word of it is read in every conversation. */
  readonly description: string
  readonly input: z.ZodObject
  /** It changes nothing. */
  readonly readOnly: boolean
  /** @throws DroverError `invalid_request` with all that is wrong with the arguments, and what the board answers */
  call(args: unknown, context: ToolContext): Promise<object>
}

interface Declared<Input extends z.ZodObject> extends Pick<Tool, 'name' | 'description'> {
  readonly input: Input
  readonly readOnly?: boolean
  readonly call: (args: z.output<Input>, context: ToolContext) => Promise<object>
}

/** A tool whose arguments are checked before it is called. */
export function tool<Input extends z.ZodObject>({
  readOnly = false,
  call,
  ...declared
}: Declared<Input>): Tool {
  return {
    ...declared,
    readOnly,
    call: async (args, context) => await call(parseRequest(declared.input, args ?? {}), context),
  }
}

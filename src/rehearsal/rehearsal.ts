/**
 * A rehearsal: the Messages API on loopback, with a scripted model behind it, for the real CLI.
 *
 * The wire format is aimock's. One fixture answers every call; which turn it is, is decided in scripted-model.ts.
 * aimock shows its fixtures the body of a request and one header of its own, so that header is used to find the
 * rest of the request again:
 *
 *     POST /v1/messages ─▶ gate: notes the headers as an exchange, puts its number into X-AIMock-Context
 *                       ─▶ fixture: exchange + body ─▶ the model's answer ─▶ shape-response.ts ─▶ the CLI
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ChatCompletionRequest, FixtureResponse } from '@copilotkit/aimock'
import { sleep } from '../core/clock.ts'
import { NO_USAGE, type Usage } from '../core/envelope.ts'
import type { Script } from './script.ts'
import { createScriptedModel, type Answer, type Caller } from './scripted-model.ts'
import type { Message } from './select-turn.ts'
import { shapeResponse, type Shape } from './shape-response.ts'

export interface Rehearsal {
  /** `http://127.0.0.1:<port>` */
  readonly baseUrl: string
  readonly port: number
  /**
   * What the CLI of a session needs to talk to this rehearsal. Whoever builds the rest of its environment leaves out
   * every credential, and keeps loopback from a proxy (`NO_PROXY`): the CLI would ask it even for 127.0.0.1.
   */
  environment(agentType: string, sessionId: string): Record<string, string>
  /** The latest requests, oldest first: for tests, and for looking into a prompt. */
  requests(): readonly RecordedRequest[]
  /** Cuts off what is still being answered. Resolves when the port is free; may be called twice. */
  stop(): Promise<void>
}

interface RecordedRequest {
  readonly method: string
  readonly path: string
  /** Without keys and cookies. */
  readonly headers: Readonly<Record<string, string>>
  readonly agentType: string
  readonly sessionId: string
  readonly isSubagent: boolean
  /** Index of the turn that was answered, or null where no script was asked. */
  readonly turn: number | null
  /** The HTTP status of the answer. */
  readonly status: number
  /** The model that was asked for; empty where none was. */
  readonly model: string
  /** What the answer is billed, also when it is cut off: nothing where no turn was said. */
  readonly usage: Usage
  /** The call as aimock normalises it (`messages` with role and text, `tools` as functions); null without a body. */
  readonly body: unknown
}

type Said = Pick<RecordedRequest, 'turn' | 'status' | 'model' | 'usage' | 'body'>

/** A request holds the system prompt and the tool schemas: 50–150 kB each. */
const REQUESTS_KEPT = 100

const AGENT_TYPE_HEADER = 'x-drover-agent-type'
const SESSION_HEADER = 'x-test-id'
const SUBAGENT_HEADER = 'x-claude-code-agent-id'
const EXCHANGE_HEADER = 'x-aimock-context'
const SECRET_HEADERS = new Set(['x-api-key', 'authorization', 'proxy-authorization', 'cookie'])

/** One call under way. */
interface Exchange {
  readonly request: IncomingMessage
  readonly caller: Caller
  /** Aborts when the CLI hangs up or the rehearsal stops. */
  readonly signal: AbortSignal
  answer: Answer | undefined
}

/** Starts a rehearsal on a free port of 127.0.0.1. */
export async function startRehearsal(script: Script): Promise<Rehearsal> {
  // Loaded here: it takes 140 ms and 40 MB, which a command that only names this module must not pay.
  const { createServer } = await import('@copilotkit/aimock')
  const model = createScriptedModel(script)
  const exchanges = new Map<string, Exchange>()
  const recorded: RecordedRequest[] = []
  let exchangeCount = 0

  function open(request: IncomingMessage, response: ServerResponse): void {
    const id = String((exchangeCount += 1))
    const gone = new AbortController()
    const exchange: Exchange = { request, caller: callerOf(request), signal: gone.signal, answer: undefined }
    exchanges.set(id, exchange)
    request.headers[EXCHANGE_HEADER] = id
    response.once('close', () => {
      exchanges.delete(id)
      gone.abort()
    })
    shapeResponse(response, () => shapeOf(exchange.answer))
  }

  function record(request: IncomingMessage, said: Said): void {
    const { method = '', url = '' } = request
    recorded.push({
      method,
      path: url,
      headers: headersOf(request),
      ...callerOf(request),
      ...said,
    })
    if (recorded.length > REQUESTS_KEPT) recorded.shift()
  }

  /** Everything but a call of the model is answered here: the other APIs that aimock plays are no part of this. */
  async function gate(request: IncomingMessage, response: ServerResponse, path: string): Promise<boolean> {
    if (request.method === 'POST' && path === '/v1/messages') {
      open(request, response)
      return false
    }
    const status = answerBeside(request, response, path)
    record(request, { status, turn: null, model: '', usage: NO_USAGE, body: null })
    return true
  }

  async function respond(body: ChatCompletionRequest): Promise<FixtureResponse> {
    const exchange = exchanges.get(body._context ?? '')
    // The CLI hung up between the headers and the end of the body: nobody reads this.
    if (exchange === undefined) return { content: '' }
    const answer = model.answer(exchange.caller, messagesOf(body))
    exchange.answer = answer
    const { turn, fault } = answer
    const status = fault?.status ?? 200
    const usage = status === 200 ? answer.usage : NO_USAGE
    record(exchange.request, { turn, status, model: body.model, usage, body })
    await sleep(answer.latencyMs, exchange.signal)
    return toFixtureResponse(answer)
  }

  const { server, url } = await createServer(
    [{ match: {}, response: respond }],
    // The journal cuts bodies at 64 KiB, below the size of any call of the CLI; `recorded` is ours.
    { host: '127.0.0.1', port: 0, strict: true, journalMaxEntries: 1 },
    [{ path: '', handler: { handleRequest: gate } }],
  )
  let stopped: Promise<void> | undefined

  return {
    baseUrl: url,
    port: Number(new URL(url).port),
    environment: (agentType, sessionId) => environmentOf(url, agentType, sessionId),
    requests: () => [...recorded],
    stop() {
      stopped ??= new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
      return stopped
    },
  }
}

function environmentOf(url: string, agentType: string, sessionId: string): Record<string, string> {
  return {
    ANTHROPIC_BASE_URL: url,
    ANTHROPIC_API_KEY: 'rehearsal-not-a-key',
    ANTHROPIC_CUSTOM_HEADERS: `${AGENT_TYPE_HEADER}: ${agentType}\n${SESSION_HEADER}: ${sessionId}`,
    // Else the CLI opens 3–5 connections to its vendor beside the base URL.
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  }
}

function callerOf(request: IncomingMessage): Caller {
  const headers = headersOf(request)
  return {
    agentType: headers[AGENT_TYPE_HEADER] ?? '',
    sessionId: headers[SESSION_HEADER] ?? '',
    isSubagent: SUBAGENT_HEADER in headers,
  }
}

function headersOf(request: IncomingMessage): Record<string, string> {
  const entries = Object.entries(request.headers).filter(([name]) => !SECRET_HEADERS.has(name))
  return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]))
}

function messagesOf(body: ChatCompletionRequest): Message[] {
  return body.messages.map(({ role, content, tool_calls: calls }) => {
    return {
      role,
      content: typeof content === 'string' ? content : null,
      hasToolCalls: (calls?.length ?? 0) > 0,
    }
  })
}

/** Answers what is no call of the model, and returns the status. */
function answerBeside(request: IncomingMessage, response: ServerResponse, path: string): number {
  request.resume()
  const [status, body] = besideOf(request, path)
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(request.method === 'HEAD' ? undefined : JSON.stringify(body))
  return status
}

function besideOf(request: IncomingMessage, path: string): [number, unknown] {
  if (request.method === 'POST' && path === '/v1/messages/count_tokens') {
    // Four characters a token, the usual rule of thumb: nothing is billed by it.
    return [200, { input_tokens: Math.ceil(Number(request.headers['content-length'] ?? 0) / 4) }]
  }
  if (path === '/') return [200, { rehearsal: true }]
  const message = `The rehearsal does not answer ${request.method} ${path}: it plays the Messages API only.`
  return [404, { type: 'error', error: { type: 'not_found_error', message } }]
}

function shapeOf(answer: Answer | undefined): Shape | undefined {
  if (answer === undefined) return undefined
  return {
    cacheReadTokens: answer.usage.cache_read_tokens,
    cacheCreationTokens: answer.usage.cache_creation_tokens,
    cutAfterChunks: answer.fault?.cut_after_chunks,
  }
}

function toFixtureResponse({ text, tools, usage, fault }: Answer): FixtureResponse {
  if (fault?.status !== undefined) {
    const { status, type, message, retry_after_seconds: retryAfter } = fault
    return { error: { type, message }, status, ...(retryAfter !== undefined && { retryAfter }) }
  }
  const tokens = { usage: { input_tokens: usage.input_tokens, output_tokens: usage.output_tokens } }
  if (tools.length === 0) return { content: text ?? '', ...tokens }
  const toolCalls = tools.map(({ name, input }) => ({ name, arguments: JSON.stringify(input) }))
  return text === undefined ? { toolCalls, ...tokens } : { content: text, toolCalls, ...tokens }
}

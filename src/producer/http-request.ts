/**
 * Requests to a board. `node:http` and not `fetch`: its first request is 60 ms earlier (measured with Node 24), and it
 * gives up on no answer by itself, where `fetch` does after 300 s and a session may take hours.
 */
import type { IncomingMessage, request as RequestFunction } from 'node:http'
import { DroverError, ERROR_CATALOGUE, invalidRequest, messageOf, type ErrorCode } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'

/** A board as its clients know it. */
export interface Board {
  /** Without a slash at the end. */
  readonly url: string
  readonly token: string | null
  readonly userAgent: string
}

/** One request. */
export interface BoardRequest {
  readonly method: 'GET' | 'POST'
  /** Begins with a slash; the query included. */
  readonly path: string
  /** Sent as JSON. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
}

/** A host that drops packets would be waited for two minutes. */
const CONNECT_TIMEOUT_MS = 10_000
/** What is read is answered within two seconds. What is asked for may wait for a session. */
const READ_TIMEOUT_MS = 30_000

/**
 * Sends, and resolves with the answer once its head is here; the body is still to be read. An abort rejects with the
 * signal's reason.
 *
 * @throws DroverError `board_unavailable` when nobody answers; `invalid_request` for a header that cannot be sent
 */
export async function send(board: Board, options: BoardRequest): Promise<IncomingMessage> {
  const { method, headers, signal } = options
  const target = new URL(board.url + options.path)
  const body = options.body === undefined ? null : Buffer.from(JSON.stringify(options.body))
  signal?.throwIfAborted()
  try {
    return await new Promise<IncomingMessage>((resolve, reject) => {
      const sending = sender(target.protocol)(target, {
        method,
        // A connection of its own for each: a kept one may be closed by the board just as we use it.
        agent: false,
        headers: {
          accept: 'application/json',
          'user-agent': board.userAgent,
          ...(board.token === null ? {} : { authorization: `Bearer ${board.token}` }),
          ...(body === null ? {} : { 'content-type': 'application/json', 'content-length': body.length }),
          ...headers,
        },
        ...(signal === undefined ? {} : { signal }),
      })
      const giveUpAfter = (ms: number, what: string): NodeJS.Timeout =>
        setTimeout(() => sending.destroy(new Error(`no ${what} after ${ms / 1000} s`)), ms)
      const connecting = giveUpAfter(CONNECT_TIMEOUT_MS, 'connection')
      const reading = method === 'GET' ? giveUpAfter(READ_TIMEOUT_MS, 'answer') : undefined
      sending.once('socket', (socket) => socket.once('connect', () => clearTimeout(connecting)))
      sending.once('response', () => clearTimeout(reading))
      sending.once('close', () => {
        clearTimeout(connecting)
        clearTimeout(reading)
      })
      sending.once('response', resolve)
      sending.on('error', reject)
      sending.end(body)
    })
  } catch (error) {
    signal?.throwIfAborted()
    throw unsendable(error) ?? unavailable(board, error)
  }
}

/** A key or an id of the caller that no header can carry; the board would have refused it. */
function unsendable(error: unknown): DroverError | null {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_INVALID_CHAR') return null
  const [, name = ''] = /\["(.*)"\]/.exec(error.message) ?? []
  return invalidRequest([{ path: name, message: 'must have printable characters only (of ASCII)' }])
}

/** Sends and reads. Throws what `send` and `readAnswer` throw. */
export async function request<T>(board: Board, options: BoardRequest): Promise<T> {
  return readAnswer<T>(board, await send(board, options))
}

/** The text of an answer as it comes. Throws what `send` and `readAnswer` throw, also in the middle. */
export async function* readText(board: Board, options: BoardRequest): AsyncGenerator<string, void, void> {
  const response = await send(board, options)
  if ((response.statusCode ?? 0) >= 400) await readAnswer(board, response)
  try {
    response.setEncoding('utf8')
    for await (const chunk of response) yield String(chunk)
  } catch (error) {
    options.signal?.throwIfAborted()
    throw unavailable(board, error)
  }
}

/**
 * Not imported: an import reads every export, `WebSocket` among them, and that loads the whole of `fetch` (25 ms with
 * Node 24, against 5 ms).
 */
function sender(protocol: string): typeof RequestFunction {
  return process.getBuiltinModule(protocol === 'https:' ? 'node:https' : 'node:http').request
}

/**
 * The JSON of an answer.
 *
 * @throws DroverError what a failure document says; `board_unavailable` for an answer that no board gives
 */
export async function readAnswer<T>(board: Board, response: IncomingMessage): Promise<T> {
  const text = await wholeText(board, response)
  const document = asDocument(text)
  const status = response.statusCode ?? 0
  if (document === null) throw strange(board, status)
  if (status < 400) return document as T
  const { success: _, error, message, ...details } = document
  if (typeof error !== 'string') throw strange(board, status)
  // Fastify's own words for a board that is being stopped.
  if (status === 503 && !isErrorCode(error)) throw unavailable(board, new Error('it is being stopped'))
  const code = isErrorCode(error) ? error : 'internal_error'
  throw new DroverError(code, typeof message === 'string' ? message : `The board answered ${error}.`, details)
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CATALOGUE, code)
}

/** The board could not be reached, or went away before it had answered. */
export function unavailable(board: Board, error: unknown): DroverError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : null
  const refused = code === 'ECONNREFUSED' || code === 'ENOTFOUND'
  const reason = refused ? '' : ` (${code ?? messageOf(error)})`
  return new DroverError(
    'board_unavailable',
    `Nobody answers at ${board.url}${reason}. Start Drover with \`drover up\`, or set DROVER_URL.`,
    {},
    { cause: error },
  )
}

async function wholeText(board: Board, response: IncomingMessage): Promise<string> {
  try {
    response.setEncoding('utf8')
    let text = ''
    for await (const chunk of response) text += String(chunk)
    return text
  } catch (error) {
    throw unavailable(board, error)
  }
}

function asDocument(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : null
  } catch {
    return null
  }
}

function strange(board: Board, status: number): DroverError {
  return new DroverError(
    'board_unavailable',
    `What answers at ${board.url} is no Drover board (HTTP ${status}). Start Drover with \`drover up\`, or correct DROVER_URL.`,
  )
}

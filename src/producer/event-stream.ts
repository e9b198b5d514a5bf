/** A session's events from a board, as server-sent events: in order, each once, over any number of connections. */
import type { IncomingMessage } from 'node:http'
import { splitEvent } from '../core/envelope.ts'
import { DroverError } from '../core/errors.ts'
import { readAnswer, send, unavailable, type Board } from './http-request.ts'
import { createPatience } from './patience.ts'

/** From where, how long, and how patiently events are followed. */
export interface EventsOptions {
  /** The last `seq` that is known: what follows it comes. @default 0 */
  readonly after?: number
  /** Ends the stream without an error. */
  readonly signal?: AbortSignal | undefined
  /** How long a board that has answered before may be away. @default 60000 */
  readonly patienceMs?: number | undefined
  /** Who asks, and for what. */
  readonly headers?: Readonly<Record<string, string>>
  /** It has answered before this call. @default false */
  readonly boardIsThere?: boolean
}

/**
 * The texts of the events from `after` to the session's last one, as they were published. A lost connection is made
 * again, from the last `seq` that came.
 *
 * @throws DroverError what the board answers; `board_unavailable` when it never answered, or stays away
 */
export async function* followEvents(
  board: Board,
  sessionId: string,
  { after = 0, signal, patienceMs, headers = {}, boardIsThere = false }: EventsOptions = {},
): AsyncGenerator<string, void, void> {
  const patience = createPatience(patienceMs)
  let last = after
  let answered = boardIsThere

  for (;;) {
    let lost: unknown = new DroverError(
      'board_unavailable',
      `The board at ${board.url} ended the stream too early.`,
    )
    try {
      for await (const message of messagesOf(board, sessionId, last, headers, signal)) {
        answered = true
        patience.answered()
        if (message.event === 'end') return
        const seq = message.data === '' ? null : splitEvent(message.data).header.seq
        if (seq === null || seq <= last) continue
        last = seq
        yield message.data
      }
    } catch (error) {
      if (!answered && signal?.aborted !== true) throw error
      lost = error
    }
    if (signal?.aborted) return
    await patience.lost(lost, signal)
    if (signal?.aborted) return
  }
}

interface Message {
  readonly event: string
  readonly data: string
}

/** The messages of one connection, until it ends; a comment is one without data: the board is there. */
async function* messagesOf(
  board: Board,
  sessionId: string,
  after: number,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Message, void, void> {
  const response = await send(board, {
    method: 'GET',
    path: `/api/v1/sessions/${encodeURIComponent(sessionId)}/events`,
    headers: {
      ...headers,
      accept: 'text/event-stream',
      ...(after > 0 ? { 'last-event-id': String(after) } : {}),
    },
    signal,
  })
  // Not a stream: the board says why.
  if (response.headers['content-type']?.includes('text/event-stream') !== true) {
    await readAnswer(board, response)
    throw new DroverError(
      'board_unavailable',
      `What answers at ${board.url} sends no events. Correct DROVER_URL.`,
    )
  }
  try {
    yield* parseMessages(linesOf(response))
  } catch (error) {
    throw unavailable(board, error)
  } finally {
    response.destroy()
  }
}

/** The fields `event` and `data` of the format (WHATWG HTML §9.2.6); the ids are in the envelopes. */
async function* parseMessages(lines: AsyncIterable<string>): AsyncGenerator<Message, void, void> {
  let event = ''
  let data: string[] = []
  for await (const line of lines) {
    if (line === '') {
      yield { event, data: data.join('\n') }
      ;[event, data] = ['', []]
    } else if (line.startsWith('event:')) {
      event = valueOf(line)
    } else if (line.startsWith('data:')) {
      data.push(valueOf(line))
    }
  }
}

function valueOf(line: string): string {
  return line.slice(line.indexOf(':') + 1).replace(/^ /, '')
}

/** Lines by LF or CR LF only: `readline` would also break at U+2028, which JSON texts may hold. */
async function* linesOf(response: IncomingMessage): AsyncGenerator<string, void, void> {
  response.setEncoding('utf8')
  // Parts of an unfinished line, joined once: a line of 16 MB comes in hundreds of them.
  let parts: string[] = []
  for await (const chunk of response) {
    const [first = '', ...rest] = String(chunk).split('\n')
    parts.push(first)
    for (const next of rest) {
      yield parts.join('').replace(/\r$/, '')
      parts = [next]
    }
  }
}

/** What comes over a connection and is no request: garbage, too many headers, a sender that is too slow. */
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { DroverError } from '../core/errors.ts'

/**
 * A request has arrived, with its whole body, after so long: the longest takes that much at 4 Mbit/s. Who sends a byte
 * now and then holds no connection for longer.
 */
export const REQUEST_TIMEOUT_MS = 120_000

const REASONS: Readonly<Record<string, readonly [status: number, message: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request took too long to arrive.'],
  HPE_HEADER_OVERFLOW: [431, 'The head of the request is too large: at most 16 KB of path and headers.'],
}
const BROKEN = [400, 'This is no HTTP request.'] as const

/** Answers with the document of every failure, and closes the connection. */
export function refuseNoRequest(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const [status, message] = REASONS[error.code ?? ''] ?? BROKEN
  const body = JSON.stringify(new DroverError('invalid_request', message).toAnswer())
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  if (socket.writable) socket.write(`${head.join('\r\n')}\r\n\r\n${body}`)
  socket.destroySoon()
}

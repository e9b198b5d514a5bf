/** The server over standard streams: protocol lines on stdout and nothing else, until stdin ends. */
import type { Readable, Writable } from 'node:stream'
import { serveStdio, StdioServerTransport } from '@modelcontextprotocol/server/stdio'
import { createMcpServer, type McpServerOptions } from './server.ts'

/** Bytes of one line: the longest prompt, each of its characters written as six. */
const LONGEST_LINE = 64 * 1024 * 1024

export interface StdioOptions extends McpServerOptions {
  readonly stdin: Readable
  readonly stdout: Writable
}

/**
 * Serves one client. Resolves when its end of the pipe is closed, or `stopping` aborts; what was waited for then is
 * not answered, and goes on. A line that is no message is passed over.
 */
export async function serveMcp({ stdin, stdout, ...options }: StdioOptions): Promise<void> {
  const ended = Promise.withResolvers<void>()
  for (const event of ['end', 'close', 'error']) stdin.once(event, ended.resolve)
  options.stopping?.addEventListener('abort', () => ended.resolve(), { once: true })
  const handle = serveStdio(() => createMcpServer(options), {
    transport: new StdioServerTransport(stdin, stdout, { maxBufferSize: LONGEST_LINE }),
    onerror: options.onError,
  })
  await ended.promise
  await handle.close()
}

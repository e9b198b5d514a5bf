/** The official MCP client, against a board's `/mcp` or a `drover mcp` of its own. */
import { resolve } from 'node:path'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import type { TestBoard } from '../board/open-board.ts'

const MAIN = resolve(import.meta.dirname, '../../src/cli/main.ts')

export type Door = 'stdio' | 'HTTP'
/** The current revision of the protocol, or the handshake of the one before. */
export type Era = 'auto' | 'legacy'

/** A tool's answer, read. */
export interface Called {
  readonly isError: boolean
  readonly document: any
  readonly progress: readonly string[]
}

export interface McpConnection {
  readonly client: Client
  call(name: string, args?: object, signal?: AbortSignal): Promise<Called>
  /** Leaves, whatever is still being waited for. */
  close(): Promise<void>
  /** Is gone without a word: `drover mcp` by SIGKILL, over HTTP by a connection that is cut. */
  vanish(): void
}

export async function connectMcp(
  door: Door,
  { url }: Pick<TestBoard, 'url'>,
  {
    env = {},
    headers = {},
    era = 'auto',
  }: {
    readonly env?: Record<string, string>
    readonly headers?: Record<string, string>
    readonly era?: Era
  } = {},
): Promise<McpConnection> {
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: era } })
  const cut = new AbortController()
  const cuttable: typeof fetch = (input, init) =>
    fetch(input, { ...init, signal: AbortSignal.any([cut.signal, ...(init?.signal ? [init.signal] : [])]) })
  const transport =
    door === 'stdio'
      ? new StdioClientTransport({
          command: process.execPath,
          args: [MAIN, 'mcp'],
          env: { PATH: process.env['PATH'] ?? '', DROVER_URL: url, ...env },
          stderr: 'ignore',
        })
      : new StreamableHTTPClientTransport(new URL(`${url}/mcp`), {
          requestInit: { headers },
          fetch: cuttable,
        })
  await client.connect(transport)
  return {
    client,
    async call(name, args = {}, signal) {
      const progress: string[] = []
      const result = await client.callTool(
        { name, arguments: { ...args } },
        {
          timeout: 60_000,
          onprogress: ({ message = '' }) => void progress.push(message),
          ...(signal === undefined ? {} : { signal }),
        },
      )
      const [content] = result.content
      if (content?.type !== 'text') throw new Error(JSON.stringify(result))
      return { isError: result.isError === true, document: JSON.parse(content.text), progress }
    },
    close: () => client.close(),
    vanish() {
      if (transport instanceof StdioClientTransport) process.kill(transport.pid ?? 0, 'SIGKILL')
      else cut.abort()
    },
  }
}

/** What can be read beside the tools: transcripts of sessions, and the agent types. */
import { ResourceTemplate, type McpServer, type ReadResourceResult } from '@modelcontextprotocol/server'
import type { HttpClient } from '../producer/http-client.ts'
import type { Tool } from './tool.ts'

const MOST_LISTED = 20

interface Reading {
  readonly client: HttpClient
  readonly maxResultChars: number
}

/** Those whose tools the caller has too: an agent that may not look at sessions does not read them here. */
export function registerResources(
  server: McpServer,
  { client, maxResultChars }: Reading,
  has: (tool: Pick<Tool, 'name'>) => boolean,
): void {
  if (has({ name: 'search_agents' }) || has({ name: 'list_agent_types' })) {
    server.registerResource(
      'agent-types',
      'drover://agent-types',
      { description: 'Agent types: name and description', mimeType: 'application/json' },
      async (uri) => {
        const { agent_types } = await client.searchTypes('', 'summary', 1000)
        return textOf(uri, 'application/json', JSON.stringify(agent_types))
      },
    )
  }
  if (!has({ name: 'check_session' })) return
  const read = async (uri: URL, id: string, offset: number): Promise<ReadResourceResult> =>
    textOf(uri, 'text/markdown', await transcriptPage(client, id, offset, maxResultChars))
  const config = { description: "A session's transcript, in pages", mimeType: 'text/markdown' }
  const list = async () => {
    const { sessions } = await client.sessions({ limit: MOST_LISTED })
    return {
      resources: sessions.map(({ session_id, agent_type, status }) => ({
        uri: `drover://sessions/${session_id}`,
        name: `${agent_type} ${status} ${session_id}`,
        mimeType: 'text/markdown',
      })),
    }
  }
  server.registerResource(
    'session',
    new ResourceTemplate('drover://sessions/{id}', { list }),
    config,
    async (uri, { id }) => await read(uri, String(id), 0),
  )
  server.registerResource(
    'session-page',
    new ResourceTemplate('drover://sessions/{id}/{offset}', { list: undefined }),
    { ...config, description: "A session's transcript from a character on" },
    async (uri, { id, offset }) =>
      await read(uri, String(id), Math.max(0, Number.parseInt(String(offset), 10) || 0)),
  )
}

/** Reads no further than the page's end, and keeps nothing of what is before it. */
async function transcriptPage(
  client: HttpClient,
  sessionId: string,
  offset: number,
  maxChars: number,
): Promise<string> {
  let text = ''
  let before = offset
  for await (const part of client.exported(sessionId, 'markdown')) {
    text += part.slice(before)
    before = Math.max(0, before - part.length)
    if (text.length > maxChars) break
  }
  const page = text.slice(0, maxChars).toWellFormed()
  if (text.length <= maxChars) return page
  return `${page}\n\n[goes on: drover://sessions/${sessionId}/${offset + maxChars}]`
}

function textOf({ href }: URL, mimeType: string, text: string): ReadResourceResult {
  return { contents: [{ uri: href, mimeType, text }] }
}

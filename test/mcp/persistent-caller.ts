/** A caller over HTTP that loses its connection in mid-wait and goes on with the handle, as the page on MCP says. */
import { sleep } from '../../src/core/clock.ts'
import { connectMcp } from './connect-mcp.ts'

const PAUSE_MS = 300
const HOUR_S = 3600

export interface PersistentCaller {
  /** The session that its call has started, once it was told. */
  readonly handle: string | null
  /** Has been told something by the call that it waits for now. */
  readonly waiting: boolean
  /** What `spawn_agent` or the last `wait_session` answered. */
  readonly answer: Promise<any>
  close(): Promise<void>
}

/** Calls `spawn_agent`. Its session is found again by its handle; a call that is cut before it had one rejects. */
export async function callPersistently(
  board: { readonly url: string },
  args: Readonly<Record<string, unknown>>,
): Promise<PersistentCaller> {
  const mcp = await connectMcp('HTTP', board)
  let handle: string | null = null
  let waiting = false
  let cut = new AbortController()
  const over = new AbortController()
  // The client tells of a stream that has broken, and would go on waiting for the answer.
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- it is no event target
  mcp.client.onerror = () => {
    waiting = false
    cut.abort()
  }

  async function callOnce(): Promise<any> {
    cut = new AbortController()
    const call =
      handle === null
        ? { name: 'spawn_agent', arguments: args }
        : { name: 'wait_session', arguments: { session_id: handle, timeout: HOUR_S } }
    const { content, isError } = await mcp.client.callTool(call, {
      timeout: HOUR_S * 1000,
      signal: AbortSignal.any([cut.signal, over.signal]),
      onprogress({ message = '' }) {
        waiting = true
        handle ??= /^session (\S+) /.exec(message)?.[1] ?? null
      },
    })
    const [text] = content
    if (text?.type !== 'text') throw new Error(JSON.stringify(content))
    const document = JSON.parse(text.text)
    if (isError === true && document.error === 'board_unavailable') throw new Error(document.message)
    return document
  }

  async function untilAnswered(): Promise<any> {
    for (;;) {
      try {
        return await callOnce()
      } catch (error) {
        if (handle === null || over.signal.aborted) throw error
        await sleep(PAUSE_MS)
      }
    }
  }

  const answer = untilAnswered()
  answer.catch(() => {})
  return {
    get handle() {
      return handle
    },
    get waiting() {
      return waiting
    },
    answer,
    close() {
      over.abort()
      return mcp.close()
    },
  }
}

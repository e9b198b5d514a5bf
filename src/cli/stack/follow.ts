/** Queues sessions over HTTP, shows what their agents do as it happens, and answers how they ended. */
import type { CompletedAnswer } from '../../core/answer.ts'
import { sleep } from '../../core/clock.ts'
import { createHttpClient, type HttpClient, type SpawnDocument } from '../../producer/http-client.ts'
import { createEventRenderer } from '../render-event.ts'
import type { CliContext } from '../program.ts'

/** While the ledger is a moment behind. */
const ANSWER_POLL_MS = 50

export interface FollowOptions {
  readonly context: CliContext
  readonly url: string
  readonly token: string | null
  /** Stops following; the sessions are the business of whoever started their Drover. */
  readonly stop: AbortSignal
}

/**
 * All sessions are accepted before the first is followed. Their events go to stderr, so that stdout has the answer.
 *
 * @throws DroverError what the board answers
 */
export async function followSessions(
  options: FollowOptions,
  asked: readonly SpawnDocument[],
  before: (client: HttpClient) => Promise<void> = async () => {},
): Promise<CompletedAnswer[]> {
  const { context, stop } = options
  const client = createHttpClient({
    url: options.url,
    token: options.token,
    userAgent: `drover-cli/${context.version}`,
  })
  stop.throwIfAborted()
  await before(client)
  const ids: string[] = []
  for (const body of asked) ids.push((await client.spawn({ ...body, wait: 'accepted' })).session_id)
  const several = asked.length > 1
  await Promise.all(
    asked.map((body, index) => show(options, client, ids[index] ?? '', several ? body.agent_type : null)),
  )
  stop.throwIfAborted()
  return await Promise.all(ids.map((id) => answerOf(client, id, stop)))
}

/** The last event may come a moment before the ledger has it. */
async function answerOf(client: HttpClient, sessionId: string, stop: AbortSignal): Promise<CompletedAnswer> {
  for (;;) {
    const { answer } = await client.session(sessionId)
    if (answer !== null) return answer
    await sleep(ANSWER_POLL_MS, stop)
    stop.throwIfAborted()
  }
}

async function show(
  { context, stop }: FollowOptions,
  client: HttpClient,
  sessionId: string,
  agentType: string | null,
): Promise<void> {
  const { output } = context
  const render = createEventRenderer({
    width: output.width,
    colors: output.noteColors,
    prefix: agentType,
  })
  for await (const event of client.events(sessionId, { signal: stop })) {
    if (output.json) continue
    for (const line of render(event)) output.note(line)
  }
}

/** `drover watch`: a session's events as they happen. */
import { DroverError } from '../../core/errors.ts'
import { AGENT_TYPE_PATTERN, isSessionId } from '../../core/ids.ts'
import type { SessionState } from '../../core/state.ts'
import type { HttpClient } from '../../producer/http-client.ts'
import { connect } from '../connect.ts'
import { examples, type CliContext, type Register } from '../program.ts'
import { typedSession } from '../session-id.ts'
import { exitCodeOf } from '../signals.ts'

/** Declares `drover watch`. */
export const registerWatch: Register = (program, context) => {
  program
    .command('watch')
    .description('Shows what a session does, from its beginning to its end; as it happens while it runs.')
    .argument('<id>', 'a session id, an agent id, or an agent type (its running session, else its newest)')
    .option('--tail', 'only what happens from now on')
    .addHelpText(
      'after',
      examples(
        'drover watch architect',
        'drover watch architect-20260131-001 --tail',
        'drover watch b2c3d4e5-f6a7-4901-8bcd-ef1234567890 --json | jq .type',
      ),
    )
    .action(async (id, options) => {
      const client = await connect(context)
      const sessionId = await sessionOf(client, await typedSession(client, id))
      const after = options.tail === true ? await lastSeq(client, sessionId) : 0
      await show(context, client, sessionId, after)
    })
}

async function show(
  context: CliContext,
  client: HttpClient,
  sessionId: string,
  after: number,
): Promise<void> {
  const [{ createEventRenderer }, { parseEvent }] = await Promise.all([
    import('../render-event.ts'),
    import('../../core/envelope.ts'),
  ])
  const { output } = context
  const render = createEventRenderer({
    width: output.isTerminal ? output.width : Number.POSITIVE_INFINITY,
    colors: output.colors,
  })
  const stop = context.takeSignals()
  for await (const text of client.eventTexts(sessionId, { after, signal: stop })) {
    // As it was published: parsing and printing it again would change the CLI's own numbers and keys.
    if (output.json) await output.line(text)
    else for (const line of render(parseEvent(text))) await output.line(line)
  }
  context.setExitCode(exitCodeOf(stop))
}

/** Ends with the UTC date and the counter; no agent type that Drover ships does. */
const AGENT_ID = /-\d{8}-\d{3,}$/

async function sessionOf(client: HttpClient, id: string): Promise<string> {
  if (isSessionId(id)) return id
  if (AGENT_ID.test(id)) return (await client.agent(id)).agent.session_id
  if (AGENT_TYPE_PATTERN.test(id)) return newestOf(client, id)
  throw new DroverError(
    'invalid_request',
    `"${id}" is neither a session id nor an agent id nor an agent type. "drover sessions list" shows them.`,
  )
}

/** States in which something happens, first. */
const LIVELY: readonly SessionState[] = ['running', 'waiting_input', 'starting', 'restarting']

async function newestOf(client: HttpClient, agentType: string): Promise<string> {
  for (const status of [...LIVELY, undefined]) {
    const filter = { agent_type: agentType, limit: 1, ...(status === undefined ? {} : { status }) }
    const [session] = (await client.sessions(filter)).sessions
    if (session !== undefined) return session.session_id
  }
  // Says so, with the nearest name, where there is no such type.
  await client.agentType(agentType)
  throw new DroverError(
    'session_not_found',
    `${agentType} has had no session yet. "drover spawn" asks for one.`,
    {
      agent_type: agentType,
    },
  )
}

const PAGE = 1000

async function lastSeq(client: HttpClient, sessionId: string): Promise<number> {
  for (let after = 0; ;) {
    const { events, next } = await client.eventPage(sessionId, after, PAGE)
    if (events.length === 0) return after
    after = next
  }
}

/** `drover sessions list|show|search|export|answer` */
import { Option } from '@commander-js/extra-typings'
import { EXPORT_FORMATS } from '../../core/export-format.ts'
import type { HttpClient } from '../../producer/http-client.ts'
import { connect, eventQueryOf, filterOf, pagesOf } from '../connect.ts'
import { wholeNumber } from '../options.ts'
import { examples, type CliContext, type Program, type Register } from '../program.ts'
import { typedSession, typedSessions } from '../session-id.ts'
import { exitCodeOf } from '../signals.ts'
import { addAnswer } from './sessions-answer.ts'

/** Declares `drover sessions`. */
export const registerSessions: Register = (program, context) => {
  const sessions = program.command('sessions').description('Shows what was asked for and what became of it.')

  sessions
    .command('list')
    .description('Lists sessions, newest first.')
    .option('--status <state>', 'only those in this state, or in these: queued,running')
    .option('--agent-type <type>', 'only those of this agent type')
    .option('--task-id <id>', 'only those of this task')
    .option('--created-by <session_id>', 'only those that this session asked for')
    .option('--orchestrator-id <id>', 'only those of this orchestrator')
    .option('--failure-reason <reason>', 'only those that failed so, such as timeout')
    .option('--since <time>', 'only those created since, such as 2026-01-31T08:00:00Z')
    .option('--until <time>', 'only those created until then')
    .option('--q <text>', 'only those with this text in id, type or prompt')
    .option('--limit <n>', 'at most so many, up to 200', wholeNumber)
    .option('--cursor <cursor>', 'go on where the page before ended')
    .addHelpText(
      'after',
      examples('drover sessions list --status running', 'drover sessions list --agent-type architect --json'),
    )
    .action(async (options) => {
      const client = await connect(context)
      const [{ sessionsTable }, page] = await Promise.all([
        import('../show-sessions.ts'),
        client.sessions(filterOf(await typedSessions(client, options))),
      ])
      await context.output.answer(page, () => sessionsTable(page, context.output, new Date()))
    })

  sessions
    .command('show')
    .description('Shows one session: its state, its agents, what was said and done, its cost.')
    .argument('<session_id>', 'id of the session')
    .addHelpText(
      'after',
      examples(
        'drover sessions show b2c3d4e5',
        'drover sessions show b2c3d4e5-f6a7-4901-8bcd-ef1234567890 --json',
      ),
    )
    .action(async (id) => {
      const client = await connect(context)
      const sessionId = await typedSession(client, id)
      const [{ readEvents, sessionText }, document] = await Promise.all([
        import('../show-sessions.ts'),
        client.session(sessionId),
      ])
      const events = await readEvents(client, sessionId)
      const { status, agent_type: agentType } = document.session
      const notes = status === 'queued' && !context.output.json ? await whyItWaits(client, agentType) : []
      await context.output.answer({ ...document, events }, () =>
        sessionText(document, events, context.output, notes),
      )
    })

  addSearch(sessions, context)
  addExport(sessions, context)
  addAnswer(sessions, context)
}

async function whyItWaits(client: HttpClient, agentType: string): Promise<string[]> {
  const [{ whyQueued }, { pods }] = await Promise.all([import('../show-pods.ts'), client.pods()])
  return whyQueued(pods, agentType)
}

/** Of what was said, so many are shown where nothing else is asked for. */
const HITS = 20

function addSearch(sessions: ReturnType<Program['command']>, context: CliContext): void {
  sessions
    .command('search')
    .description(
      "Finds what was said in sessions: prompts, the agents' words, what tools were asked and answered.",
    )
    .argument('<text...>', 'words, and "quoted phrases", all of which must be there')
    .option('--session-id <id>', 'only in this session')
    .option('--agent-id <id>', 'only by this agent')
    .option('--agent-type <type>', 'only by agents of this type')
    .option('--type <type>', 'only in events of this type, such as claude.assistant')
    .option('--since <time>', 'only what was said since, such as 2026-01-31T08:00:00Z')
    .option('--until <time>', 'only what was said until then')
    .option('--limit <n>', 'at most so many, up to 200', wholeNumber, HITS)
    .option('--cursor <cursor>', 'go on where the page before ended')
    .addHelpText(
      'after',
      examples(
        'drover sessions search deadline lease',
        `drover sessions search '"file not found"' --since 2026-01-31`,
      ),
    )
    .action(async (words, { limit, cursor, ...filter }) => {
      const client = await connect(context)
      const query = eventQueryOf(await typedSessions(client, filter))
      const [{ hitsText }, pages] = await Promise.all([
        import('../show-events.ts'),
        pagesOf(
          limit,
          (rows, from) =>
            client.search(words.join(' '), { ...query, limit: rows, ...cursorOf(from ?? cursor) }),
          (page) => page.hits.length,
        ),
      ])
      const document = { ...pages.at(-1), hits: pages.flatMap((page) => page.hits) }
      await context.output.answer(document, () =>
        hitsText(document.hits, document.next_cursor ?? null, context.output),
      )
    })
}

function addExport(sessions: ReturnType<Program['command']>, context: CliContext): void {
  sessions
    .command('export')
    .description('Writes the whole record of a session: its events, or a transcript to read.')
    .argument('<session_id>', 'id of the session')
    .addOption(
      new Option('--format <format>', 'ndjson: every event on a line; markdown: a transcript')
        .choices(EXPORT_FORMATS)
        .default('ndjson' as const),
    )
    .option('--output <file>', 'write it to this file instead of standard output')
    .addHelpText(
      'after',
      examples(
        'drover sessions export b2c3d4e5-f6a7-4901-8bcd-ef1234567890 > session.ndjson',
        'drover sessions export b2c3d4e5-f6a7-4901-8bcd-ef1234567890 --format markdown --output session.md',
      ),
    )
    .action(async (id, { format, output: file }) => {
      const client = await connect(context)
      const sessionId = await typedSession(client, id)
      const stop = context.takeSignals()
      const text = client.exported(sessionId, format, stop)
      const { writeExport } = await import('../write-export.ts')
      await writeExport(context, text, file ?? null, { session_id: sessionId, format })
      context.setExitCode(exitCodeOf(stop))
    })
}

function cursorOf(cursor: string | undefined): { cursor?: string } {
  return cursor === undefined ? {} : { cursor }
}

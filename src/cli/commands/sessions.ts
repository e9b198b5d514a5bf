/** `drover sessions list|show` */
import { connect, filterOf } from '../connect.ts'
import { wholeNumber } from '../options.ts'
import { examples, type Register } from '../program.ts'

/** Declares `drover sessions`. */
export const registerSessions: Register = (program, context) => {
  const sessions = program.command('sessions').description('Shows what was asked for and what became of it.')

  sessions
    .command('list')
    .description('Lists sessions, newest first.')
    .option('--status <state>', 'only those in this state')
    .option('--agent-type <type>', 'only those of this agent type')
    .option('--task-id <id>', 'only those of this task')
    .option('--since <time>', 'only those created since, such as 2026-01-31T08:00:00Z')
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
        client.sessions(filterOf(options)),
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
        'drover sessions show b2c3d4e5-f6a7-4901-8bcd-ef1234567890',
        'drover sessions show b2c3d4e5-f6a7-4901-8bcd-ef1234567890 --json',
      ),
    )
    .action(async (sessionId) => {
      const client = await connect(context)
      const [{ readEvents, sessionText }, document] = await Promise.all([
        import('../show-sessions.ts'),
        client.session(sessionId),
      ])
      const events = await readEvents(client, sessionId)
      await context.output.answer({ ...document, events }, () =>
        sessionText(document, events, context.output),
      )
    })
}

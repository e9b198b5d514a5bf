/** `drover events list` */
import { connect, eventQueryOf, pagesOf } from '../connect.ts'
import { wholeNumber } from '../options.ts'
import { typedSessions } from '../session-id.ts'
import { examples, type Register } from '../program.ts'

const SHOWN = 50

/** Declares `drover events`. */
export const registerEvents: Register = (program, context) => {
  program
    .command('events')
    .description('Shows what happened in all sessions.')
    .command('list')
    .description('Lists recorded events, newest first.')
    .option('--session-id <id>', 'only those of this session')
    .option('--agent-id <id>', 'only those of this agent')
    .option('--agent-type <type>', 'only those of this agent type')
    .option('--type <type>', 'only those of this type, or whose type begins so: drover.session')
    .option('--since <time>', 'only those since, such as 2026-01-31T08:00:00Z')
    .option('--until <time>', 'only those until then')
    .option('--limit <n>', 'at most so many, up to 200', wholeNumber, SHOWN)
    .option('--cursor <cursor>', 'go on where the page before ended')
    .addHelpText(
      'after',
      examples(
        'drover events list --type drover.agent.killed',
        'drover events list --type claude.result --json',
      ),
    )
    .action(async ({ limit, cursor, ...filter }) => {
      const client = await connect(context)
      const query = eventQueryOf(await typedSessions(client, filter))
      const [{ eventsTable }, pages] = await Promise.all([
        import('../show-events.ts'),
        pagesOf(
          limit,
          (rows, from) => {
            const place = from ?? cursor
            return client.allEvents({
              ...query,
              limit: rows,
              ...(place === undefined ? {} : { cursor: place }),
            })
          },
          (page) => page.events.length,
        ),
      ])
      const document = { ...pages.at(-1), events: pages.flatMap((page) => page.events) }
      await context.output.answer(document, () =>
        eventsTable(document.events, document.next_cursor ?? null, context.output),
      )
    })
}

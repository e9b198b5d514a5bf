/** `drover restart` */
import { connect } from '../connect.ts'
import { typedSession } from '../session-id.ts'
import { restartedText, restartedAllText } from '../show-control.ts'
import { examples, type Register } from '../program.ts'
import { refuseBoth } from './kill.ts'

/** Declares `drover restart`. */
export const registerRestart: Register = (program, context) => {
  program
    .command('restart')
    .description(
      'Gives a session another agent at once; of one that has ended, a new session that goes on from it.',
    )
    .argument('[id]', 'id of the session, or of its agent')
    .option('--force', 'also after a failure that a restart alone does not mend')
    .option('--all-failed', 'restart every failed session that a restart may mend, instead of one')
    .option('--since <time>', 'with --all-failed: only those created since (the last 24 hours)')
    .addHelpText(
      'after',
      examples(
        'drover restart b2c3d4e5-f6a7-4901-8bcd-ef1234567890',
        'drover restart architect-20260131-001',
        'drover restart --all-failed --since 2026-01-31',
      ),
    )
    .action(async (id, { force, allFailed, since }) => {
      refuseBoth('all-failed', id, allFailed)
      const client = await connect(context)
      if (id === undefined) {
        const answer = await client.restartFailed({ since })
        await context.output.answer(answer, () => restartedAllText(answer))
        return
      }
      const answer = await client.restart(await typedSession(client, id), { force })
      await context.output.answer(answer, () => restartedText(answer))
    })
}

/** `drover kill` */
import { EXIT, invalidRequest } from '../../core/errors.ts'
import { connect } from '../connect.ts'
import { typedSession } from '../session-id.ts'
import { seconds } from '../options.ts'
import { killedText, stalledText } from '../show-control.ts'
import { examples, type Register } from '../program.ts'

/** Declares `drover kill`. */
export const registerKill: Register = (program, context) => {
  program
    .command('kill')
    .description('Ends a session: SIGTERM to its agent, SIGKILL after the grace. Waits until it has ended.')
    .argument('[id]', 'id of the session, or of its agent')
    .option('--grace <seconds>', 'between SIGTERM and SIGKILL (as the pod is configured: 10)', seconds)
    .option('--force', 'SIGKILL at once')
    .option('--stalled', 'end every session whose agent is stalled or dead, instead of one')
    .addHelpText(
      'after',
      examples(
        'drover kill b2c3d4e5-f6a7-4901-8bcd-ef1234567890',
        'drover kill architect-20260131-001 --grace 30',
        'drover kill --stalled --json',
      ),
    )
    .action(async (id, { grace, force, stalled }) => {
      refuseBoth('stalled', id, stalled)
      const client = await connect(context)
      if (id === undefined) {
        const answer = await client.killStalled()
        await context.output.answer(answer, () => stalledText(answer))
        if (!answer.success) context.setExitCode(EXIT.failed)
        return
      }
      const answer = await client.kill(await typedSession(client, id), { grace_seconds: grace, force })
      await context.output.answer(answer, () => killedText(answer))
    })
}

/** One id, or the option that means all of a kind. Throws `invalid_request`. */
export function refuseBoth(option: string, id: string | undefined, given: boolean | undefined): void {
  if ((id === undefined) !== (given ?? false)) {
    const message = `is needed, or --${option} without one`
    throw invalidRequest([{ path: 'id', message }])
  }
}

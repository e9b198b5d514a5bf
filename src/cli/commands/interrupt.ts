/** `drover interrupt` */
import { connect } from '../connect.ts'
import { typedSession } from '../session-id.ts'
import { examples, type Register } from '../program.ts'
import { interruptedText } from '../show-control.ts'

/** Declares `drover interrupt`. */
export const registerInterrupt: Register = (program, context) => {
  program
    .command('interrupt')
    .description('Stops the running turn of a session, which stays and waits for a message.')
    .argument('<id>', 'id of the session, or of its agent')
    .addHelpText('after', examples('drover interrupt b2c3d4e5-f6a7-4901-8bcd-ef1234567890'))
    .action(async (id) => {
      const client = await connect(context)
      const answer = await client.interrupt(await typedSession(client, id))
      await context.output.answer(answer, () => interruptedText(answer))
    })
}

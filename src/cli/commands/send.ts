/** `drover send` */
import { Option } from '@commander-js/extra-typings'
import { connect } from '../connect.ts'
import { typedSession } from '../session-id.ts'
import { examples, type Register } from '../program.ts'
import { readPrompt } from '../prompt.ts'
import { sentText } from '../show-control.ts'

/** As `core/follow-up.ts`, which loads more than a command's start should. */
const PRIORITIES = ['now', 'next', 'later'] as const

/** Declares `drover send`. */
export const registerSend: Register = (program, context) => {
  program
    .command('send')
    .description(
      "Leaves a message for a session's agent: it is steered into the running turn, or is the next one.",
    )
    .argument('<id>', 'id of the session, or of its agent')
    .argument('[text...]', 'the message; - reads it from standard input')
    .option('--prompt-file <file>', 'the message is in this file')
    .addOption(
      new Option('--priority <when>', 'now: end the running turn first; later: wait for its end')
        .choices(PRIORITIES)
        .default('next' as const),
    )
    .option('--idempotency-key <key>', 'the same key to the same session is the same message')
    .addHelpText(
      'after',
      examples(
        "drover send b2c3d4e5-f6a7-4901-8bcd-ef1234567890 'Leave the tests as they are.'",
        'drover send architect-20260131-001 --priority now --prompt-file review.md',
      ),
    )
    .action(async (id, words, { promptFile, priority, idempotencyKey }) => {
      const text = await readPrompt(context, words, promptFile, 'message')
      const client = await connect(context)
      const answer = await client.send(await typedSession(client, id), text, { priority, idempotencyKey })
      await context.output.answer(answer, () => sentText(answer))
    })
}

/** `drover sessions answer` */
import { invalidRequest } from '../../core/errors.ts'
import { connect } from '../connect.ts'
import { typedSession } from '../session-id.ts'
import { examples, type CliContext, type Program } from '../program.ts'
import { permissionText } from '../show-control.ts'

/** Declares it. */
export function addAnswer(sessions: ReturnType<Program['command']>, context: CliContext): void {
  sessions
    .command('answer')
    .description('Answers what an agent asks before it uses a tool (state `waiting_input`).')
    .argument('<id>', 'id of the session, or of its agent')
    .option('--allow', 'the tool runs')
    .option('--deny', 'the tool does not run, and the agent is told so')
    .option('--request <id>', 'the question, where several are open (`sessions show` lists them)')
    .option('--message <text>', 'with --deny: what the agent is told')
    .option('--input <json>', 'with --allow: the tool runs with this input instead')
    .option('--interrupt', 'with --deny: the turn ends, and a message is waited for')
    .addHelpText(
      'after',
      examples(
        'drover sessions answer b2c3d4e5-f6a7-4901-8bcd-ef1234567890 --allow',
        "drover sessions answer architect-20260131-001 --deny --message 'Not on this branch.'",
      ),
    )
    .action(async (id, { allow, deny, request, message, input, interrupt }) => {
      if ((allow ?? false) === (deny ?? false)) {
        throw invalidRequest([{ path: 'behavior', message: 'say either --allow or --deny' }])
      }
      const client = await connect(context)
      const answer = await client.answer(await typedSession(client, id), {
        behavior: allow ? 'allow' : 'deny',
        request_id: request,
        message,
        updated_input: input === undefined ? undefined : inputOf(input),
        interrupt,
      })
      await context.output.answer(answer, () => permissionText(answer))
    })
}

function inputOf(text: string): Record<string, unknown> {
  try {
    // What it is, the board checks.
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    throw invalidRequest([{ path: 'input', message: 'must be a JSON object' }])
  }
}

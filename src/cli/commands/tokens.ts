/** `drover tokens create`: a token of the board, shown once. */
import { examples, type Register } from '../program.ts'

/** Declares `drover tokens`. */
export const registerTokens: Register = (program, context) => {
  const tokens = program.command('tokens').description('Makes tokens for the board.')

  tokens
    .command('create')
    .description(
      'Makes a token and prints it once, with the line for the configuration of the board, which keeps only its hash.',
    )
    .argument('<name>', 'whose it is: recorded with all that is asked for with it')
    .option('--scopes <list>', 'what it allows, with commas between: read, submit, control, admin', 'read')
    .addHelpText(
      'after',
      examples(
        'drover tokens create ci --scopes read,submit',
        'drover tokens create ops --scopes admin --json',
      ),
    )
    .action(async (name, { scopes }) => {
      const { createToken, tokenText } = await import('../create-token.ts')
      const answer = createToken(name, scopes)
      await context.output.answer(answer, () => tokenText(answer))
    })
}

/** How a command that failed says so: one sentence for people, the failure document of CONTRACT §3 with `--json`. */
import { CommanderError, type CommandUnknownOpts } from '@commander-js/extra-typings'
import { DroverError, EXIT, isDroverError, messageOf, type Issue } from '../core/errors.ts'
import type { Output } from './output.ts'
import { visibleLines } from './safe-text.ts'

/** What `sayFailure` needs to know beside the error. */
export interface FailureContext {
  readonly output: Output
  /** null: the program could not even be set up. */
  readonly program: CommandUnknownOpts | null
  /** Arguments after `drover`. */
  readonly args: readonly string[]
  /** The stack of unknown errors is shown. */
  readonly debug: boolean
}

/** Says what happened, and answers the exit code. Help and version are no failures. */
export async function sayFailure(error: unknown, context: FailureContext): Promise<number> {
  const { output } = context
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.ok
    // Without a command the help was printed, which says more than an error could.
    if (error.code === 'commander.help' && !output.json) return EXIT.usage
  }
  const failure = failureOf(error, context)
  if (output.json) await output.answer(failure.toAnswer(), () => '')
  else output.note(failureText(failure, output))
  if (context.debug && failure.code === 'internal_error' && error instanceof Error)
    output.note(error.stack ?? '')
  return failure.exitCode
}

/** `error: <sentence>`, each of several issues on a line of its own. */
export function failureText(failure: DroverError, { noteColors }: Pick<Output, 'noteColors'>): string {
  const [first = '', ...more] = listIssues(failure).flatMap(visibleLines)
  return [`${noteColors.red('error:')} ${first}`, ...more].join('\n')
}

function failureOf(error: unknown, context: FailureContext): DroverError {
  if (error instanceof CommanderError) return usageError(error, context)
  if (isDroverError(error)) return error
  const hint = context.debug ? '' : ' (set DROVER_LOG_LEVEL=debug for the stack)'
  return new DroverError('internal_error', `${messageOf(error)}${hint}`, {}, { cause: error })
}

/** The message, its issues on lines of their own where it lists several in one line. */
function listIssues({ message, details }: DroverError): string[] {
  const issues: readonly Issue[] = Array.isArray(details['issues']) ? details['issues'] : []
  const texts = issues.map(({ path, message: text }) => (path ? `${path}: ${text}` : text).replace(/\.$/, ''))
  const start = message.indexOf(texts[0] ?? '\n')
  if (texts.length < 2 || start < 0 || message.includes('\n')) return [message]
  return [message.slice(0, start).trimEnd(), ...texts.map((text) => `  - ${text}`)]
}

/** commander's message as a sentence that says where to read on. */
function usageError(error: CommanderError, { program, args }: FailureContext): DroverError {
  const command = program === null ? null : commandOf(program, args)
  const said = error.message
    .replace(/^error: /, '')
    .replaceAll('\n', ' ')
    .replace(/ \((Did you mean .*\?)\)$/, '. $1')
    .trim()
  const sentence =
    said === '(outputHelp)' ? 'A command is missing' : said.charAt(0).toUpperCase() + said.slice(1)
  const takesPrompt = command?.registeredArguments.some((argument) => argument.name() === 'prompt')
  const hint =
    error.code === 'commander.unknownOption' && takesPrompt
      ? ' A prompt that begins with "-" goes after "--".'
      : ''
  const end = /[.?!)]$/.test(sentence) ? '' : '.'
  return new DroverError('invalid_request', `${sentence}${end}${hint} See "${pathOf(command)} --help".`)
}

/** The deepest command that the arguments name. */
function commandOf(program: CommandUnknownOpts, args: readonly string[]): CommandUnknownOpts {
  let command = program
  for (const arg of args) {
    const next = command.commands.find((candidate) => candidate.name() === arg)
    if (next !== undefined) command = next
  }
  return command
}

/** `drover sessions list`, as it is typed. */
export function pathOf(command: CommandUnknownOpts | null): string {
  if (command === null) return 'drover'
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}

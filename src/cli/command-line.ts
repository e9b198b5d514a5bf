/** The command line as a process: standard streams, signals, environment, exit code. */
import { COMMANDS } from './commands.ts'
import { DroverError, EXIT, messageOf } from '../core/errors.ts'
import { sayFailure } from './failure.ts'
import { createOutput } from './output.ts'
import { createProgram, type Program } from './program.ts'
import { watchSignals } from './signals.ts'
import { REHEARSE_FLAG } from './stack/rehearse.ts'
import { readVersion } from '../config/version.ts'

const LEVELS_WITH_STACK = ['debug', 'trace']

/** Runs the command that the arguments name, and ends the process. */
export async function runCommandLine(): Promise<never> {
  const { env, stdin, stdout, stderr } = process
  const args = withoutSwallowing(process.argv.slice(2))
  const output = createOutput({ stdout, stderr, env, json: wantsJson(args) })
  const signals = watchSignals((code) => process.exit(code))
  let lost = false
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return signals.outputGone(EXIT.ok)
    // Every further write says so again. To throw it would be a failure that is to be written there too, for ever.
    if (!lost) output.note(`error: the answer could not be written: ${messageOf(error)}`)
    lost = true
    signals.outputGone(EXIT.failed)
  })
  // Whoever closed stderr does not want to read that it is closed.
  stderr.on('error', () => {})

  let exitCode = 0
  let program: Program | null = null
  const fail = (error: unknown): Promise<number> => {
    const level = program?.opts().logLevel ?? env['DROVER_LOG_LEVEL'] ?? ''
    return sayFailure(error, { output, program, args, debug: LEVELS_WITH_STACK.includes(level) })
  }
  // A promise that nobody waited for, or a listener that threw: said like any other failure.
  const crash = async (error: unknown): Promise<never> => process.exit(await fail(error))
  process.on('uncaughtException', (error) => void crash(error))
  try {
    const setExitCode = (code: number): void => void (exitCode = code)
    const surroundings = { env, cwd: currentDirectory(), stdin, output, version: readVersion(), setExitCode }
    program = createProgram({ ...surroundings, takeSignals: signals.take }, COMMANDS)
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    exitCode = await fail(error)
  }
  output.status('')
  // On some systems writes to a pipe go on in the background; exit would cut them off.
  await new Promise<void>((resolve) => stdout.write('', () => resolve()))
  // What a command left open (a kept connection) must not hold the terminal.
  process.exit(lost ? EXIT.failed : exitCode)
}

function currentDirectory(): string {
  try {
    return process.cwd()
  } catch {
    throw new DroverError('invalid_request', 'The current directory was removed. Change to another one.')
  }
}

/**
 * An option with a value that may be missing takes the next word: `run architect --rehearse "x"` would rehearse a
 * script "x". So a bare one is given its empty value here, and a script is named with `--rehearse=script` alone.
 */
function withoutSwallowing(args: readonly string[]): string[] {
  const end = args.indexOf('--')
  return args.map((word, at) => (word === REHEARSE_FLAG && (end < 0 || at < end) ? `${word}=` : word))
}

/** Asked before the arguments are parsed: what is wrong with them is said in the same form. */
function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return (end < 0 ? args : args.slice(0, end)).includes('--json')
}

/**
 * The frame of the command line: global options, what a command gets, and the list of commands.
 *
 * A command's file exports `register…(program, context)`. Registering only declares names and options: what an action
 * needs beyond `src/cli` it imports when it runs, so that the HTTP commands load neither BullMQ nor SQLite.
 */
import type { Readable } from 'node:stream'
import {
  Command,
  InvalidArgumentError,
  type CommandUnknownOpts,
  type OptionValues,
} from '@commander-js/extra-typings'
import type { LoadedConfig } from '../config/load.ts'
import { DroverError, type Issue } from '../core/errors.ts'
import { pathOf } from './failure.ts'
import type { Output } from './output.ts'

/** What `main.ts` hands in: the process as far as commands may see it. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly stdin: Readable
  readonly output: Output
  readonly version: string
  /** The exit code once the command is done; 0 without it. An error that is thrown brings its own. */
  readonly setExitCode: (code: number) => void
  /**
   * For commands that have something to put away. Without it SIGINT ends the process with 130 at once, SIGTERM and
   * SIGHUP likewise; with it the first of them only aborts the signal (its reason is the signal's name), and a second
   * one ends the process, or calls `again` where it is given.
   */
  readonly takeSignals: (again?: () => void) => AbortSignal
}

/** What a command gets. */
export interface CliContext extends Surroundings {
  /** `drover.toml` < environment < flags of this call. Throws `invalid_request` with all problems. */
  readonly config: () => Promise<LoadedConfig>
}

/** The program with its global options. */
export type Program = ReturnType<typeof createFrame>
/** Declares a command. */
export type Register = (program: Program, context: CliContext) => void
/** Commands under one heading of the help. */
export interface CommandGroup {
  readonly heading: string
  readonly commands: readonly Register[]
}

/** The whole command line. Nothing is read, opened or written before an action runs. */
export function createProgram(surroundings: Surroundings, groups: readonly CommandGroup[]): Program {
  let flags: OptionValues = {}
  const problems: Issue[] = []
  const { version, output } = surroundings
  const shown = output.json ? JSON.stringify({ success: true, version }) : version
  const program = createFrame(shown).hook('preAction', (_, command) => {
    if (problems.length > 0) throw badOptions(problems, command)
    flags = command.optsWithGlobals()
  })
  const context: CliContext = {
    ...surroundings,
    async config() {
      const { loadConfig } = await import('../config/load.ts')
      return loadConfig({ env: surroundings.env, cwd: surroundings.cwd, flags })
    },
  }
  for (const { heading, commands } of groups) {
    program.commandsGroup(heading)
    for (const register of commands) register(program, context)
  }
  collectProblems(program, problems)
  return program
}

function badOptions(issues: readonly Issue[], command: CommandUnknownOpts): DroverError {
  const texts = issues.map(({ path, message }) => `${path}: ${message}`)
  const sentence = `The command line was refused: ${texts.join('; ')}. See "${pathOf(command)} --help".`
  return new DroverError('invalid_request', sentence, { issues })
}

/** What is wrong with the values of options is kept until all of them were read: commander stops at the first. */
function collectProblems(command: CommandUnknownOpts, problems: Issue[]): void {
  for (const option of command.options) {
    const parse = option.parseArg
    if (parse === undefined) continue
    option.parseArg = (value, previous) => {
      try {
        return parse(value, previous)
      } catch (error) {
        if (!(error instanceof InvalidArgumentError)) throw error
        const message = `"${value}" is invalid. ${error.message.replace(/\.$/, '')}`
        problems.push({ path: option.long ?? option.flags, message })
        return previous
      }
    }
  }
  for (const each of command.commands) collectProblems(each, problems)
}

function createFrame(version: string) {
  return (
    new Command('drover')
      .description('Runs Claude Code sessions as durable jobs.')
      .version(version, '-V, --version', 'print the version')
      .helpOption('-h, --help', 'print this help')
      .helpCommand('help [command]', 'print the help of a command')
      .option('--json', 'print one JSON document on stdout and nothing else there')
      .optionsGroup('Configuration (beside drover.toml and the environment, see "drover config print"):')
      .option('--url <url>', 'board to talk to (DROVER_URL)')
      .option('--redis-url <url>', 'Redis that pods and boards share (REDIS_URL)')
      .option('--namespace <name>', 'what belongs together (DROVER_NAMESPACE)')
      .option('--data-dir <dir>', 'directory of ledger, embedded Redis and tools (DROVER_DATA_DIR)')
      .option('--agent-specs <file>', 'file with the agent types (DROVER_AGENT_SPECS)')
      .option('--log-level <level>', 'lowest level that is logged (DROVER_LOG_LEVEL)')
      .configureHelp({ showGlobalOptions: true })
      // Errors come back as exceptions, and main.ts says them, as a document where --json asks for it.
      .exitOverride()
      .configureOutput({ outputError: () => {} })
  )
}

/** Lines for the end of a command's help. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`
}

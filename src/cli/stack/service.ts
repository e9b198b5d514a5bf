/** What the long-running commands share: their log, and being told to stop. */
import type { Config } from '../../config/settings.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { SecretKeeper } from '../../telemetry/secret-keeper.ts'
import type { CliContext } from '../program.ts'

/** Logs go to stderr, without `secrets`: lines for people on a terminal, NDJSON otherwise. */
export async function roleLogger(
  context: CliContext,
  config: Config,
  name: string,
  secrets: Pick<SecretKeeper, 'json'>,
): Promise<Logger> {
  const { createLogger } = await import('../../telemetry/logger.ts')
  const terminal = process.stderr.isTTY
  const format = !terminal ? 'ndjson' : context.output.noteColors.isColorSupported ? 'color' : 'plain'
  return createLogger({ level: config.log.level, name, format, redact: secrets.json })
}

/** Of the file with the agent types, as `watchSpecs` tells it: one line when it breaks, one when it is right again. */
export function sayProblem(log: Pick<Logger, 'error' | 'info'>, problem: string | null): void {
  if (problem === null) log.info({ alarm: 'agent_specs_broken' }, 'Over: the agent types are right again')
  else
    log.error(
      { alarm: 'agent_specs_broken' },
      `${problem.replace(/\.?$/, '.')} The types that were read before stay.`,
    )
}

export interface Told {
  /** Says that the service is ready: the document with --json, else a line for people. */
  ready(document: object, sentence: string): Promise<void>
  /** Told once to stop: SIGTERM, SIGINT, or (with `whileStdin`) the end of standard input. */
  readonly first: Promise<void>
  /** Told a second time: without further waiting. */
  readonly second: Promise<void>
  close(): void
}

export function untilTold(context: CliContext, options: { readonly whileStdin: boolean }): Told {
  const first = Promise.withResolvers<void>()
  const second = Promise.withResolvers<void>()
  const signal = context.takeSignals(second.resolve)
  signal.addEventListener('abort', () => first.resolve(), { once: true })
  // The parent held the other end of our standard input: when it is gone, so are we.
  if (options.whileStdin) context.stdin.on('end', first.resolve).on('error', first.resolve).resume()
  return {
    async ready(document, sentence) {
      // One line: a parent reads it as the first line of our stdout.
      if (context.output.json) await context.output.line(JSON.stringify(document))
      else context.output.note(sentence)
    },
    first: first.promise,
    second: second.promise,
    close: () => context.stdin.pause(),
  }
}

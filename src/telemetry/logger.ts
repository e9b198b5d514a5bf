/** Drover's own log: NDJSON on standard error, or lines for people where the caller knows of a terminal. */
import { destination as fileDestination, pino, stdSerializers, stdTimeFunctions } from 'pino'
import type { DestinationStream, Level, Logger } from 'pino'
import { createHumanLines } from './human-lines.ts'

export type { Logger } from 'pino'

/** How a logger is made. */
export interface LoggerOptions {
  readonly level: Level | 'silent'
  /** Which part of Drover speaks: `worker`, `board`. */
  readonly name: string
  /** `ndjson` (the default), or lines for people, with or without colour: the caller knows the terminal and NO_COLOR. */
  readonly format?: 'ndjson' | 'plain' | 'color'
  /** Where the lines go; standard error by default, because standard output belongs to a command's answer. */
  readonly destination?: DestinationStream
  /** Takes the secrets out of a line of NDJSON: out of messages and stacks too (`SecretKeeper.json`). */
  readonly redact?: (line: string) => string
}

/** Members that hold secrets, wherever a detail object has them: what `redact` does not know is kept out too. */
const SECRET_MEMBERS = [
  'token',
  'password',
  'authorization',
  'apiKey',
  'ANTHROPIC_API_KEY',
  'CLAUDE_CODE_OAUTH_TOKEN',
]

/** A logger with ISO times. `log.warn({ session_id }, 'sentence')`: details first, in snake case, errors as `err`. */
export function createLogger({
  level,
  name,
  format = 'ndjson',
  destination = standardError(),
  redact = (line) => line,
}: LoggerOptions): Logger {
  return pino(
    {
      name,
      level,
      timestamp: stdTimeFunctions.isoTime,
      base: { pid: process.pid },
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: stdSerializers.err },
      redact: { paths: SECRET_MEMBERS.flatMap((member) => [member, `*.${member}`]), censor: '***' },
    },
    redacted(
      format === 'ndjson' ? destination : createHumanLines(destination, { color: format === 'color' }),
      redact,
    ),
  )
}

function redacted(destination: DestinationStream, redact: (line: string) => string): DestinationStream {
  return { write: (line) => destination.write(redact(line)) }
}

/** Characters of lines that wait for room on the disk of the log; what comes beyond them is dropped. */
const MOST_WAITING = 1_000_000

/**
 * Synchronous: the last lines before a crash are the ones that are needed. A log that cannot be written ends nothing: on
 * a full disk the first line about it would take the pod with it, and its agents.
 */
function standardError(): DestinationStream {
  const destination = fileDestination({ dest: 2, sync: true, maxLength: MOST_WAITING })
  destination.on('error', () => {})
  return destination
}

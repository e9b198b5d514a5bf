/** What a command says: answers on stdout, everything else on stderr; a document with `--json`, text without. */
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import pc from 'picocolors'
import { cut } from './safe-text.ts'

/** `picocolors`, on or off. */
export type Colors = ReturnType<typeof pc.createColors>

/** A standard stream: knows whether it is a terminal, and how wide. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number }

/** Where a command says things. stdout belongs to its answer, stderr to the person. */
export interface Output {
  /** `--json`: stdout has one JSON document, or one per line where a command streams, and nothing else. */
  readonly json: boolean
  /** stdout is a terminal. */
  readonly isTerminal: boolean
  /** stderr is a terminal: somebody may be looking. */
  readonly isInteractive: boolean
  /** Columns of stdout's terminal; a fixed width where it is none. */
  readonly width: number
  /** For stdout. */
  readonly colors: Colors
  /** For stderr. */
  readonly noteColors: Colors
  /** The answer of a command: the document with `--json` (on one line, indented for a terminal), else the text. */
  readonly answer: (document: unknown, text: () => string) => Promise<void>
  /** One line of a stream on stdout. Resolves when the reader has room for more. */
  readonly line: (text: string) => Promise<void>
  /** A part of a text on stdout, as it is. Resolves when the reader has room for more. */
  readonly raw: (text: string) => Promise<void>
  /** One line for the person, on stderr. */
  readonly note: (text: string) => void
  /**
   * A line on stderr that the next one replaces: what is waited for. Only where a person looks (stderr is a
   * terminal); '' takes it away.
   */
  readonly status: (text: string) => void
}

/** The streams and what decides about their form. */
export interface OutputOptions {
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly env: Readonly<Record<string, string | undefined>>
  readonly json: boolean
}

/** For pipes and files: as wide as most terminals. */
const DEFAULT_WIDTH = 100
const NARROWEST_WIDTH = 40
/** Carriage return, then "erase to the end of the line". */
const ERASE_LINE = '\r\u001B[K'

/** An output over two streams. Nothing is written yet. */
export function createOutput({ stdout, stderr, env, json }: OutputOptions): Output {
  let statusShown = false

  function clearStatus(): void {
    if (statusShown) stderr.write(ERASE_LINE)
    statusShown = false
  }

  async function write(text: string): Promise<void> {
    clearStatus()
    // A reader that went away is no error of the command: `main.ts` ends the process, or aborts what runs.
    if (!stdout.write(text)) await once(stdout, 'drain').catch(() => {})
  }

  return {
    json,
    isTerminal: stdout.isTTY === true,
    isInteractive: stderr.isTTY === true,
    width: Math.max(columnsOf(stdout), NARROWEST_WIDTH),
    colors: pc.createColors(wantsColor(stdout, env)),
    noteColors: pc.createColors(wantsColor(stderr, env)),
    answer: (document, text) =>
      write(`${json ? JSON.stringify(document, null, stdout.isTTY === true ? 2 : 0) : text()}\n`),
    line: (text) => write(`${text}\n`),
    raw: write,
    note(text) {
      clearStatus()
      stderr.write(`${text}\n`)
    },
    status(text) {
      if (stderr.isTTY !== true) return
      clearStatus()
      if (text === '') return
      stderr.write(cut(text, columnsOf(stderr) - 1))
      statusShown = true
    },
  }
}

/** A terminal that does not know its size says 0. */
function columnsOf({ columns }: OutputStream): number {
  return columns === undefined || columns === 0 ? DEFAULT_WIDTH : columns
}

/** NO_COLOR counts when it is not empty (no-color.org). */
function wantsColor(stream: OutputStream, env: OutputOptions['env']): boolean {
  return stream.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
}

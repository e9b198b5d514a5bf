/** The fake CLI (`fake-claude.mjs`) for tests: its path, its scripts, and what its witness saw. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** For `DROVER_CLAUDE_PATH`. Its `#!` line needs Node on the agent's PATH. */
export const FAKE_CLAUDE = fileURLToPath(new URL('fake-claude.mjs', import.meta.url))

export type DaemonKind = 'plain' | 'setsid' | 'double_fork' | 'env_clean' | 'env_clean_double_fork'

/** What the fake does in a turn, in the order of the members. */
export interface FakeScript {
  /** Before `system/init`. */
  readonly delay_init_ms?: number
  /** As init names them. @default none */
  readonly mcp_servers?: readonly { readonly name: string; readonly status: string }[]
  /** SIGSTOPs itself after init. */
  readonly stop_self?: boolean
  /** Files to write, relative to the working directory. */
  readonly write_files?: Readonly<Record<string, string>>
  /** Processes to leave behind; each writes its pid to `<daemon_dir>/<kind>.pid`. */
  readonly daemons?: readonly DaemonKind[]
  readonly daemon_dir?: string
  /** They keep the fake's standard output open. */
  readonly hold_stdout?: boolean
  /** Written to standard error, with a line feed. */
  readonly stderr_text?: string
  /** Files whose bytes are printed: what must not stand in a prompt. */
  readonly stdout_file?: string
  readonly stderr_file?: string
  /** Assistant lines. @default 1 */
  readonly lines?: number
  /** Says no further line once this file, relative to the working directory, is there: with many lines, the test ends it. */
  readonly until_file?: string
  /** Each says when it was printed: `at <milliseconds since 1970>`. */
  readonly stamped?: boolean
  /** After each of them. */
  readonly delay_ms?: number
  /** Printed as they are, each with a line feed. */
  readonly raw_lines?: readonly string[]
  readonly invalid_utf8?: boolean
  /** A JSON line of this length. */
  readonly huge_line_bytes?: number
  /** The beginning of a line, without its end; or a text to be printed without a line feed. */
  readonly half_line?: boolean | string
  /** Dies here in these attempts (`DROVER_ATTEMPT`). */
  readonly crash_on_attempts?: readonly number[]
  /** null: exits with `exit_code` instead. @default SIGKILL */
  readonly crash_signal?: 'SIGKILL' | 'SIGTERM' | 'SIGSEGV' | null
  /** Tool calls that it asks about, all at once, where its command line says so; what is answered it prints. */
  readonly ask?: readonly string[]
  /** Says nothing of the messages that it is given after its prompt. */
  readonly no_lifecycle?: boolean
  /** Before the result. */
  readonly silence_ms?: number
  /** `none`: exits without one. @default success */
  readonly result?: 'success' | 'error' | 'none'
  readonly api_error_status?: number
  readonly text?: string
  /** @default 0.001 */
  readonly cost_usd?: number
  readonly usage?: Readonly<
    Partial<Record<'input_tokens' | 'output_tokens' | 'cache_read_tokens' | 'cache_creation_tokens', number>>
  >
  /** Does not wait for the end of its input. */
  readonly exit_after_result?: boolean
  /** Stays when its input is closed. */
  readonly hang_after_result?: boolean
  readonly ignore_term?: boolean
  /** Instead of 0, or 1 after an error. */
  readonly exit_code?: number | null
}

/** A prompt with a script in it. */
export function fakePrompt(script: FakeScript, text = 'Do as the script says.'): string {
  return `${text}\n${JSON.stringify({ fake: script })}`
}

/** One line of the witness. */
export interface WitnessRecord {
  readonly kind: 'start' | 'beat' | 'end' | 'violation'
  readonly mono_ns: string
  readonly pid: number
  readonly agent_type: string
  readonly session_id: string
  readonly agent_id: string
  readonly attempt?: string | null
  readonly argv?: readonly string[]
  readonly env_names?: readonly string[]
}

/** All records, in the order of time. A line that a kill cut is left out. */
export function readWitness(dir: string): WitnessRecord[] {
  if (!existsSync(dir)) return []
  return readdirSync(dir)
    .filter((name) => name.endsWith('.ndjson'))
    .flatMap((name) => readFileSync(join(dir, name), 'utf8').split('\n').slice(0, -1))
    .map((line): unknown => JSON.parse(line))
    .filter(isRecord)
    .toSorted((a, b) => Number(BigInt(a.mono_ns) - BigInt(b.mono_ns)))
}

function isRecord(value: unknown): value is WitnessRecord {
  return typeof value === 'object' && value !== null && 'mono_ns' in value
}

/** Agents that ran while another of their type was alive; empty is right. */
export function violations(dir: string): WitnessRecord[] {
  return readWitness(dir).filter((record) => record.kind === 'violation')
}

/** Whether an agent, or anything that it started, still lives. */
export function isTreeAlive(dir: string, agentId: string): boolean {
  const file = join(dir, `${agentId}.tree`)
  return existsSync(file) && spawnSync('flock', ['-n', file, 'true']).status !== 0
}

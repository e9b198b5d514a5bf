/**
 * `npm run bench -- [names…] [--quick] [--json | --markdown] [--ledger DIR]`: measures Drover against the bare things that it stands on, each in
 * one run and in pairs. A missed goal changes nothing; a benchmark that breaks makes the exit code 1.
 */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { EXIT, messageOf } from '../src/core/errors.ts'
import { benchBigLedger } from './big-ledger.ts'
import { benchCatchUp } from './catch-up.ts'
import { benchDag } from './dag.ts'
import { benchDependent } from './dependent.ts'
import { benchEnqueue } from './enqueue.ts'
import { benchGuard } from './guard.ts'
import { benchHttpEnqueue } from './http-enqueue.ts'
import { benchLatency } from './latency.ts'
import { formatMachine, readMachine } from './machine.ts'
import { benchMemory } from './memory.ts'
import { benchQueuedTasks } from './queued-tasks.ts'
import { benchRecorder } from './recorder.ts'
import { benchRecording } from './recording.ts'
import { benchRecovery } from './recovery.ts'
import { format, formatMarkdown, isMet, type Result } from './report.ts'
import { benchSession } from './session.ts'
import { benchSpawnCommand } from './spawn-command.ts'
import { openStage, type Stage } from './stage.ts'
import { benchTraffic } from './traffic.ts'
import { benchTurnover } from './turnover.ts'
import { benchWaits } from './waits.ts'
import { buildDrover } from './worker.ts'

type Bench = (stage: Stage) => Promise<readonly Result[]>

const BENCHES: ReadonlyMap<string, Bench> = new Map([
  ['enqueue', benchEnqueue],
  ['http-enqueue', benchHttpEnqueue],
  ['queued-tasks', benchQueuedTasks],
  ['spawn', benchSpawnCommand],
  ['dependent', benchDependent],
  ['dag', benchDag],
  ['session', benchSession],
  ['guard', benchGuard],
  ['turnover', benchTurnover],
  ['recorder', benchRecorder],
  ['recording', benchRecording],
  ['catch-up', benchCatchUp],
  ['latency', benchLatency],
  ['big-ledger', benchBigLedger],
  ['memory', benchMemory],
  ['traffic', benchTraffic],
  ['recovery', benchRecovery],
  ['waits', benchWaits],
])
/** Those that start the built `drover`. */
const NEED_BUILD = [
  'http-enqueue',
  'queued-tasks',
  'spawn',
  'dependent',
  'dag',
  'session',
  'turnover',
  'latency',
  'big-ledger',
  'memory',
  'traffic',
  'recovery',
  'waits',
]

const USAGE = `Usage: npm run bench -- [names…] [--quick] [--json | --markdown] [--ledger DIR]

  names         ${[...BENCHES.keys()].join(', ')}; all of them by default
  --quick       one or two iterations each: whether they work, not what they measure
  --json        one JSON document on stdout, everything else on stderr
  --markdown    a table as in docs/benchmarks.md on stdout, everything else on stderr
  --ledger DIR  big-ledger: asks the ledger that is kept there, made first where none is
`

interface Choice {
  readonly names: readonly string[]
  readonly quick: boolean
  /** What stdout gets beside what is said as it goes; then that goes to stderr. */
  readonly document: 'json' | 'markdown' | null
  readonly ledgerDir: string | null
}

/** Throws a sentence for what is no choice; null asks for the usage. */
function readArguments(args: readonly string[]): Choice | null {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: 'boolean' },
      json: { type: 'boolean' },
      markdown: { type: 'boolean' },
      ledger: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help === true) return null
  if (values.json === true && values.markdown === true) throw new Error('One of --json and --markdown.')
  const unknown = positionals.find((name) => !BENCHES.has(name))
  if (unknown !== undefined) throw new Error(`There is no benchmark "${unknown}".`)
  return {
    names: positionals.length > 0 ? positionals : [...BENCHES.keys()],
    quick: values.quick === true,
    document: values.json === true ? 'json' : values.markdown === true ? 'markdown' : null,
    ledgerDir: values.ledger === undefined ? null : resolve(values.ledger),
  }
}

/** Runs the chosen ones, one after the other; answers the exit code. */
async function runBenches(choice: Choice, interruption: Interruption): Promise<number> {
  const { names, quick, document } = choice
  const say = document === null ? console.log : console.error
  const machine = await readMachine()
  say(formatMachine(machine))
  if (quick) say('--quick: these numbers say that the benchmarks work, and no more')
  if (names.some((name) => NEED_BUILD.includes(name))) await buildDrover()

  const results: Result[] = []
  const broken: { bench: string; error: string }[] = []
  for (const [name, bench] of BENCHES) {
    if (!names.includes(name)) continue
    try {
      const measured = await onStage(bench, choice, interruption)
      results.push(...measured)
      for (const result of measured) say(`\n${format(result)}`)
    } catch (error) {
      if (interruption.signal.aborted) return EXIT.interrupted
      broken.push({ bench: name, error: messageOf(error) })
      say(`\n${name}: BROKEN\n  ${error instanceof Error ? error.stack : String(error)}`)
    }
  }
  if (document === 'markdown') console.log(`${formatMachine(machine)}\n\n${formatMarkdown(results)}`)
  if (document === 'json') {
    const met = results.map((result) => ({ ...result, met: isMet(result) }))
    console.log(JSON.stringify({ machine, quick, results: met, broken }, null, 2))
  }
  return broken.length === 0 ? EXIT.ok : EXIT.failed
}

async function onStage(bench: Bench, choice: Choice, interruption: Interruption): Promise<readonly Result[]> {
  interruption.signal.throwIfAborted()
  const opening = openStage(choice)
  interruption.puts(async () => (await opening).close())
  const stage = await opening
  try {
    return await bench(stage)
  } finally {
    await stage.close()
  }
}

interface Interruption {
  readonly signal: AbortSignal
  /** What is to be put away from now on, instead of what was named before. */
  puts(away: () => Promise<void>): void
}

/** On a signal what is open is put away first; a second one does not wait for that. */
function watchSignals(): Interruption {
  const told = new AbortController()
  let putAway = async (): Promise<void> => {}

  async function stop(): Promise<void> {
    if (!told.signal.aborted) {
      told.abort()
      console.error('Stopping: what was started is put away.')
      await putAway().catch((error: unknown) => console.error(messageOf(error)))
    }
    process.exit(EXIT.interrupted)
  }

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop())
  // Promises of an interrupted benchmark break in its middle; otherwise one that nobody waits for is a mistake.
  process.on('unhandledRejection', (error) => {
    if (!told.signal.aborted) throw error
  })
  return {
    signal: told.signal,
    puts: (away) => {
      putAway = away
    },
  }
}

async function main(): Promise<number> {
  let choice: Choice | null
  try {
    choice = readArguments(process.argv.slice(2))
  } catch (error) {
    console.error(`${messageOf(error)}\n\n${USAGE}`)
    return EXIT.usage
  }
  if (choice === null) {
    console.log(USAGE)
    return EXIT.ok
  }
  const interruption = watchSignals()
  try {
    return await runBenches(choice, interruption)
  } catch (error) {
    // Nothing was measured: Redis or the CLI is missing, or what is to be measured does not compile.
    if (!interruption.signal.aborted) console.error(messageOf(error))
    return EXIT.failed
  }
}

process.exitCode = await main()

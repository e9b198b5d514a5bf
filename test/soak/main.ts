/**
 * `npm run soak -- --seed 1 --minutes 5 --pods 3`: random work under random faults, then healing, then everything
 * that must hold. Exit code 1 with a breach; then the run's files stay, and it says where.
 */
import { EXIT, messageOf } from '../../src/core/errors.ts'
import { openField, type Field } from '../fault/rig/field.ts'
import { createArena, type Arena } from './arena.ts'
import { figuresOf, formatFigures, type Figures } from './figures.ts'
import { createFleet } from './fleet.ts'
import { keepFiles } from './keep.ts'
import { chooseFaults, disturb } from './nemesis.ts'
import { USAGE, commandOf, readOptions, timesOf, type SoakOptions } from './options.ts'
import { judge } from './verdict.ts'
import { startWatch, type Watch } from './watch.ts'
import { createWorkload, type Workload } from './workload.ts'

/** The rest of the time is for healing. */
const CHAOS_SHARE = 0.8
const PROGRESS_MS = 10_000

interface Report {
  readonly success: boolean
  readonly seed: number
  readonly command: string
  readonly options: SoakOptions
  readonly faults: readonly string[]
  readonly duration_ms: number
  readonly breaches: readonly string[]
  readonly figures: Figures
  /** Where the files of a run with a breach are. */
  readonly kept: string | null
}

const say = (text: string): void => void process.stderr.write(`${text}\n`)

async function soak(options: SoakOptions, interrupted: AbortSignal): Promise<Report> {
  const begun = performance.now()
  const agentTypes = Array.from({ length: options.agents }, (_, index) => `agent-${index + 1}`)
  const field = await openField({
    pods: options.pods,
    seed: options.seed,
    types: Object.fromEntries(agentTypes.map((name) => [name, {}])),
    times: timesOf(options.scale),
  })
  const random = field.random.stream('soak')
  const kinds = options.faults === 'some' ? chooseFaults(random.stream('faults')) : options.faults
  say(`seed ${options.seed}, faults: ${kinds.join(', ') || 'none'}`)
  const healing = new AbortController()
  const arena = createArena(field, createFleet(field), healing.signal)
  const watch = startWatch(field)
  const workload = createWorkload(arena, agentTypes, random.stream('work'), watch.isEnded)
  const progress = setInterval(() => say(progressOf(arena, workload, watch, begun)), PROGRESS_MS)
  const chaos = setTimeout(() => healing.abort(), options.minutes * 60_000 * CHAOS_SHARE)
  const stop = (): void => healing.abort()
  for (const signal of [watch.alarm, interrupted]) signal.addEventListener('abort', stop)
  if (interrupted.aborted) stop()

  let closed = false
  try {
    const [problems] = await Promise.all([disturb(arena, kinds, random.stream('nemesis')), workload.run()])
    // The signal of a terminal goes to the pods too: what would be judged is gone.
    interrupted.throwIfAborted()
    say(`healed after ${seconds(begun)} s: waiting until all is settled`)
    await arena.fleet.complete()
    const verdict = await judge(arena, workload, watch)
    watch.stop()
    const figures = figuresOf(arena, workload, verdict, watch.witness())
    const report = {
      seed: options.seed,
      command: commandOf(options),
      options,
      faults: kinds,
      figures,
    }
    const breaches = [
      ...new Set([...watch.breaches, ...verdict.breaches, ...problems.map((what) => `rig: ${what}`)]),
    ]
    const kept = breaches.length === 0 ? null : await keepFiles(arena, workload, { ...report, breaches })
    closed = true
    breaches.push(...(await teardownBreaches(field)))
    return {
      success: breaches.length === 0,
      ...report,
      duration_ms: performance.now() - begun,
      breaches,
      kept,
    }
  } finally {
    clearTimeout(chaos)
    clearInterval(progress)
    watch.stop()
    healing.abort()
    if (!closed) await field.close().catch((error: unknown) => say(messageOf(error)))
  }
}

/** Nothing may be left of the run: no process, no port, no temporary file. */
async function teardownBreaches(field: Field): Promise<string[]> {
  return await field.close().then(
    () => [],
    (error: unknown) => [`teardown: ${messageOf(error)}`],
  )
}

function progressOf({ deeds, fleet }: Arena, { submissions }: Workload, watch: Watch, begun: number): string {
  const ended = submissions.filter(({ sessionId }) => watch.isEnded(sessionId)).length
  const alive = fleet.places.filter(({ pod }) => pod?.isAlive() === true).length
  return (
    `${seconds(begun)} s: ${submissions.length} sessions, ${ended} ended; ${deeds.length} faults, ` +
    `${deeds.filter(({ to }) => to === null).length} now; ${alive} pods; ${watch.breaches.length} breaches`
  )
}

const seconds = (begun: number): string => ((performance.now() - begun) / 1000).toFixed(0)

function print(report: Report, json: boolean): void {
  const lines = [
    formatFigures(report.figures),
    ...report.breaches.map((breach) => `BREACH ${breach}`),
    ...(report.kept === null ? [] : [`The run's files are in ${report.kept}`]),
    `${report.breaches.length} breaches in ${(report.duration_ms / 1000).toFixed(0)} s. Again: ${report.command}`,
  ]
  if (json) say(lines.join('\n'))
  process.stdout.write(`${json ? JSON.stringify(report, null, 2) : lines.join('\n')}\n`)
}

async function main(): Promise<number> {
  let options: SoakOptions | null
  try {
    options = readOptions(process.argv.slice(2))
  } catch (error) {
    say(`${messageOf(error)}\n\n${USAGE}`)
    return EXIT.usage
  }
  if (options === null) {
    process.stdout.write(USAGE)
    return EXIT.ok
  }
  const interruption = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      say('Interrupted: lifting every fault and ending what was started.')
      interruption.abort()
    })
  }
  try {
    const report = await soak(options, interruption.signal)
    print(report, options.json)
    return report.success ? EXIT.ok : EXIT.failed
  } catch (error) {
    if (interruption.signal.aborted) return EXIT.interrupted
    throw error
  }
}

process.exitCode = await main()

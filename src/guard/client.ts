/**
 * The worker's side of the guard.
 *
 * The guard is a process of its own and the only parent of agents. The two watch each other: the guard kills an
 * agent whose deadline has passed and every agent when the worker is gone; this side ends a guard that is late
 * with a kill, and sweeps what a dead guard has left.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import {
  createGuardedAgent,
  GuardLost,
  spawnFailed,
  type AgentLaunch,
  type ClientAgent,
  type GuardedAgent,
} from './guarded-agent.ts'
import { readLines } from './lines.ts'
import { keepGuardRecord, type GuardRecord } from './guard-record.ts'
import { parseReport, PROTOCOL_LINE_LIMIT_BYTES, type Command, type Report } from './protocol.ts'
import { TIER_NAMES, type TierName } from './tier.ts'
import { requireTier } from './try-tiers.ts'

export { GuardLost } from './guarded-agent.ts'
export type { AgentExit, AgentLaunch, AgentSample, GuardedAgent } from './guarded-agent.ts'

/** A running guard. */
export interface Guard {
  readonly pid: number
  /** How it holds the processes of its agents together. */
  readonly tier: TierName
  /** Resolves once the process exists; rejects with `spawn_failed` and a sentence when it could not be started, `GuardLost` when the guard died first. */
  start(launch: AgentLaunch): Promise<GuardedAgent>
  /** Resolves when the guard is gone; every live agent's `exited` then resolves with `guard_lost`. */
  readonly gone: Promise<void>
  /** Ends all agents (SIGKILL) and the guard; resolves when they are gone. Safe to call twice. */
  stop(): Promise<void>
}

/** Where the guard's warnings go; a pino logger fits. */
export interface GuardLog {
  warn(details: object, message: string): void
}

export interface GuardOptions {
  /** Time between two samples of an agent, in ms. */
  readonly heartbeatMs: number
  readonly log?: GuardLog
  /** The weakest tier to work with. @default none: whatever this host can do */
  readonly requireTier?: TierName | 'none'
  /** Where the guard is put on record for `endLeftGuards` of a later pod of this host; made where it is missing. */
  readonly recordDir?: string
  /** The tiers to try, in the order of their strength. @default all */
  readonly tiers?: readonly TierName[]
  /** The guard's entry point; the one beside this file by default. */
  readonly entry?: string
}

/** The guard's start: a Node process and its tries; 0.2 s here, 12 s more when every try hangs. */
const READY_TIMEOUT_MS = 30_000
/** The guard ends all agents and itself in some 10 ms; then it is ended by force. */
const STOP_TIMEOUT_MS = 10_000
/** How often a guard is looked at that should have killed. */
const WATCH_MS = 100
const STDERR_KEPT_CHARACTERS = 4000

/**
 * Starts a guard and waits until it serves. Rejects with `spawn_failed`, also where this host cannot do the tier that
 * is required; then no guard is left.
 */
export async function startGuard(options: GuardOptions): Promise<Guard> {
  const entry = options.entry ?? defaultEntry()
  // detached: a Ctrl-C in the terminal is for the worker, which drains. An empty environment: no secret of its own.
  const child = spawn(process.execPath, [...nodeFlags(entry), entry, ...argumentsOf(options)], {
    cwd: '/',
    env: {},
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const agents = new Map<string, ClientAgent>()
  let errorText = ''
  let isGone = false
  let record: GuardRecord | null = null

  const ready = Promise.withResolvers<ReadyReport>()
  const gone = Promise.withResolvers<void>()
  const swept = Promise.withResolvers<void>()

  const send = (command: Command): void => void child.stdin.write(`${JSON.stringify(command)}\n`)
  const receive = (line: string): void => {
    const report = parseReport(line)
    if (report === null) return options.log?.warn({ line: line.slice(0, 200) }, 'the guard printed no report')
    if (report.event === 'ready') return ready.resolve(report)
    const agent = report.agent_id === null ? undefined : agents.get(report.agent_id)
    if (report.event === 'refused' && report.op !== 'start') {
      options.log?.warn({ ...report }, 'the guard refused a command')
    }
    agent?.receive(report)
  }
  const lose = async (): Promise<void> => {
    if (isGone) return
    isGone = true
    clearInterval(watching)
    ready.reject(spawnFailed(`The guard process ended before it was ready. ${errorText}`))
    gone.resolve()
    await Promise.all([...agents.values()].map((agent) => agent.lose()))
    record?.drop()
    swept.resolve()
  }

  child.stdin.on('error', () => undefined)
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errorText = (errorText + text).slice(-STDERR_KEPT_CHARACTERS)
    options.log?.warn({ text }, 'the guard wrote to its standard error')
  })
  readLines(child.stdout, PROTOCOL_LINE_LIMIT_BYTES, receive, () => undefined)
  child.once('error', (error) => {
    errorText ||= messageOf(error)
    void lose()
  })
  // `close`, not `exit`: the last reports are still in the pipe. Nobody else holds it, so it closes with the process.
  child.once('close', () => void lose())

  const watching = setInterval(() => {
    const now = systemClock.monotonic()
    if (![...agents.values()].some((agent) => agent.isOverdue(now))) return
    options.log?.warn({ pid: child.pid }, 'the guard is late with a kill: it is ended')
    child.kill('SIGKILL')
  }, WATCH_MS).unref()

  const stop = async (): Promise<void> => {
    if (!isGone) {
      send({ op: 'stop' })
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
      await gone.promise
      clearTimeout(force)
    }
    await swept.promise
  }

  const { tier, tries } = await withinReadyTime(ready.promise, child)
  try {
    requireTier(tier, options.requireTier ?? 'none', tries)
    if (options.recordDir !== undefined) record = keepGuardRecord(options.recordDir, child.pid ?? 0)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    pid: child.pid ?? 0,
    tier,
    gone: gone.promise,
    stop,
    start: async (launch) => {
      if (isGone) throw new GuardLost(`The guard is gone: agent ${launch.agentId} was not started.`)
      if (agents.has(launch.agentId)) throw spawnFailed(`An agent ${launch.agentId} runs already.`)
      record?.add(launch.dir)
      const agent = createGuardedAgent(launch, send)
      agents.set(launch.agentId, agent)
      void agent.ended.then(() => {
        agents.delete(launch.agentId)
        record?.remove(launch.dir)
      })
      return agent.started
    },
  }
}

type ReadyReport = Extract<Report, { event: 'ready' }>

async function withinReadyTime(ready: Promise<ReadyReport>, child: ChildProcess): Promise<ReadyReport> {
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_TIMEOUT_MS)
  return ready.finally(() => clearTimeout(timer))
}

function argumentsOf({ heartbeatMs, tiers = TIER_NAMES }: GuardOptions): readonly string[] {
  return [String(heartbeatMs), tiers.join(',')]
}

/** The guard's entry beside this file: `.ts` when run from sources, `.js` when built. */
function defaultEntry(): string {
  return fileURLToPath(new URL(`main${extname(import.meta.url)}`, import.meta.url))
}

/** The guard calculates nothing: without V8's compilers it needs 10 MB less. Sources need WebAssembly, which goes too. */
function nodeFlags(entry: string): readonly string[] {
  return extname(entry) === '.js' ? ['--lite-mode'] : []
}

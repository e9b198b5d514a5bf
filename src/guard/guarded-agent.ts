/** One agent as the worker sees it: its start, its acknowledged deadline, its end. */
import { randomBytes } from 'node:crypto'
import { DroverError } from '../core/errors.ts'
import type { Command, ExitedReport, Report, SampleReport } from './protocol.ts'
import { sweepOrphans } from './sweep.ts'

/** What to start. Nothing of it reaches a shell. */
export interface AgentLaunch {
  readonly agentId: string
  readonly sessionId: string
  /** Absolute path of the program. */
  readonly file: string
  readonly args: readonly string[]
  /** Absolute path of an existing directory. */
  readonly cwd: string
  /** The whole environment; nothing is inherited. The guard adds its own mark. */
  readonly env: Readonly<Record<string, string>>
  /** The agent's directory (exists): `stdout.ndjson` and `stderr.log` go there. */
  readonly dir: string
  /** Milliseconds of the monotonic clock (`core/clock.ts`); when it passes everything of the agent is killed. */
  readonly deadline: number
  /** The first line of standard input, without its line feed; '' for none. */
  readonly input: string
}

/** How an agent ended. Everything it had started is gone when this is known. */
export interface AgentExit {
  /** Where a pid namespace holds the agent, an exit code of 128 + n is taken for signal n, but 129, 130 and 143. */
  readonly code: number | null
  readonly signal: string | null
  /** null: it ended by itself. */
  readonly endedBy: null | 'kill' | 'deadline' | 'worker_gone' | 'guard_lost'
  /**
   * Processes that were ended, the CLI included where it was killed. After `guard_lost` only those that were still
   * found: with a pid namespace the kernel ends them together with the guard.
   */
  readonly processesKilled: number
  /** It was asked with SIGTERM and was gone before the grace was over. */
  readonly killedGracefully: boolean
}

/** A look at an agent's processes, once per heartbeat. */
export interface AgentSample {
  readonly agentId: string
  /** The CLI's own state letter as in `/proc/<pid>/stat` (R, S, D, T, Z …); `?` where there is no /proc. */
  readonly state: string
  /** CPU time of all its processes since the start, in ms; null where there is no /proc. */
  readonly cpuMs: number | null
  /** Resident memory of all its processes, in MB (2^20 bytes); null where there is no /proc. */
  readonly memoryMb: number | null
  /** Bytes in the spool. */
  readonly spoolBytes: number
  /** Live processes of the agent; null where there is no /proc. */
  readonly processes: number | null
}

/** A started agent. */
export interface GuardedAgent {
  readonly pid: number
  /** Start of the process in clock ticks since boot (`/proc/<pid>/stat`): with the pid its identity. 0 without /proc. */
  readonly startTime: number
  /** Sends a new deadline; resolves true when the guard acknowledged it, false when the agent or the guard is gone. */
  extend(deadline: number): Promise<boolean>
  /** The last acknowledged deadline. */
  readonly acknowledged: number
  /** Writes one line (without its line feed) to the CLI's standard input; nothing happens when it is closed. */
  input(line: string): void
  /** Closes the CLI's standard input once what was written is taken: the CLI ends after its running turn. */
  closeInput(): void
  /** SIGTERM to the CLI's own pid, after `graceMs` SIGKILL of everything; 0 = SIGKILL at once. May be repeated to shorten. */
  kill(graceMs: number): void
  /** Resolves when the process and all that it had started are gone. Never rejects. */
  readonly exited: Promise<AgentExit>
  onSample(listener: (sample: AgentSample) => void): void
}

/** A guarded agent with what the client needs to keep it true. */
export interface ClientAgent {
  /** Resolves when the guard has started the process; rejects with `spawn_failed`. */
  readonly started: Promise<GuardedAgent>
  /** Resolves when the agent has ended, or was never started. */
  readonly ended: Promise<void>
  receive(report: Report): void
  /** The guard is gone: ends what it has left. */
  lose(): Promise<void>
  /** The deadline has passed and the guard has not begun to kill, in two looks in a row. */
  isOverdue(now: number): boolean
}

/** A guard that has not begun to kill this long after a deadline is frozen: its tick is 50 ms. */
const GUARD_LATE_MS = 1000
/** One look is not enough: after a pause of this process the guard's reports are still unread. */
const OVERDUE_LOOKS = 2
/** Beyond this a process left by a dead guard hangs in the kernel; nothing more can be done to it from here. */
const SWEEP_LIMIT_MS = 5000

/** The error of everything that keeps an agent from starting. */
export function spawnFailed(message: string): DroverError {
  return new DroverError('spawn_failed', message)
}

/** The guard died before the agent ran, or was too late for the lease: no fault of the agent's. */
export class GuardLost extends Error {}

/** Sends the start of an agent to the guard. */
export function createGuardedAgent(launch: AgentLaunch, send: (command: Command) => void): ClientAgent {
  const { agentId, sessionId: _, ...wanted } = launch
  // Agent ids repeat in other namespaces of one machine; what a sweep kills by must not.
  const mark = `${agentId}.${randomBytes(8).toString('hex')}`
  const started = Promise.withResolvers<GuardedAgent>()
  const exited = Promise.withResolvers<AgentExit>()
  const ended = Promise.withResolvers<void>()
  const listeners: ((sample: AgentSample) => void)[] = []
  let extensions: { readonly deadline: number; resolve(acknowledged: boolean): void }[] = []
  let acknowledged = launch.deadline
  let isEnded = false
  let isKilling = false
  let overdueLooks = 0

  const end = (exit: AgentExit): void => {
    isEnded = true
    refuseExtensions()
    // First, so that the id is free again for whoever waited for the exit.
    ended.resolve()
    exited.resolve(exit)
  }
  const refuseExtensions = (): void => {
    for (const extension of extensions) extension.resolve(false)
    extensions = []
  }
  const tell = (command: Command): void => {
    if (!isEnded) send(command)
  }
  const agentOf = (processId: number, startTime: number): GuardedAgent => ({
    pid: processId,
    startTime,
    get acknowledged() {
      return acknowledged
    },
    extend: (deadline) => {
      if (isEnded || isKilling) return Promise.resolve(false)
      const answer = Promise.withResolvers<boolean>()
      extensions.push({ deadline, resolve: answer.resolve })
      send({ op: 'deadline', agent_id: agentId, deadline })
      return answer.promise
    },
    input: (line) => tell({ op: 'input', agent_id: agentId, line }),
    closeInput: () => tell({ op: 'close_input', agent_id: agentId }),
    kill: (graceMs) => tell({ op: 'kill', agent_id: agentId, grace_ms: graceMs }),
    exited: exited.promise,
    onSample: (listener) => void listeners.push(listener),
  })

  const receive = (report: Report): void => {
    switch (report.event) {
      case 'started':
        return started.resolve(agentOf(report.pid, report.start_time))
      case 'refused':
        if (report.op === 'deadline') return refuseExtensions()
        if (report.op !== 'start') return
        isEnded = true
        started.reject(
          report.code === 'too_late' ? new GuardLost(report.message) : spawnFailed(report.message),
        )
        return ended.resolve()
      case 'ack':
        acknowledged = report.deadline
        // Answers come in the order of the questions.
        return extensions.shift()?.resolve(true)
      case 'killing':
        isKilling = true
        return refuseExtensions()
      case 'sample':
        for (const listener of listeners) listener(sampleOf(report))
        return
      case 'exited':
        return end(exitOf(report))
      case 'ready':
    }
  }
  const lose = async (): Promise<void> => {
    if (isEnded) return
    isEnded = true
    refuseExtensions()
    const processesKilled = await sweepOrphans(launch.dir, SWEEP_LIMIT_MS)
    started.reject(new GuardLost(`The guard ended while agent ${agentId} was being started.`))
    end({
      code: null,
      signal: null,
      endedBy: 'guard_lost',
      processesKilled,
      killedGracefully: false,
    })
  }

  send({ op: 'start', agent_id: agentId, mark, ...wanted })
  return {
    started: started.promise,
    ended: ended.promise,
    receive,
    lose,
    isOverdue: (now) => {
      const late = !isEnded && !isKilling && now > acknowledged + GUARD_LATE_MS
      overdueLooks = late ? overdueLooks + 1 : 0
      return overdueLooks >= OVERDUE_LOOKS
    },
  }
}

function sampleOf(report: SampleReport): AgentSample {
  return {
    agentId: report.agent_id,
    state: report.state,
    cpuMs: report.cpu_ms,
    memoryMb: report.memory_mb,
    spoolBytes: report.spool_bytes,
    processes: report.processes,
  }
}

function exitOf(report: ExitedReport): AgentExit {
  return {
    code: report.code,
    signal: report.signal,
    endedBy: report.ended_by,
    processesKilled: report.processes_killed,
    killedGracefully: report.killed_gracefully,
  }
}

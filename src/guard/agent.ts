/**
 * One agent in the guard: its input, its deadline, its kill ladder, its end.
 *
 *     live ── kill(grace) ──▶ SIGTERM ── grace over ──┐
 *      ├───── deadline passed, worker gone ───────────┴─▶ SIGKILL of all ─▶ exit ─▶ sweep ─▶ exited
 *      └───── the process ends by itself ──────────────────────────────────▶ exit ─▶ sweep ─▶ exited
 */
import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import { dropTarget } from './agent-file.ts'
import { nameOf, residentMb, sendTo, type ProcessEntry } from './process-table.ts'
import { SPOOL_FILE, type EndedBy, type Report, type StartCommand } from './protocol.ts'
import { letGo, membersOfTarget, strike } from './reach.ts'
import { spawnProcess } from './spawn.ts'
import { spoolSize } from './spool-size.ts'
import { sweep } from './sweep.ts'
import type { Tier } from './tier.ts'

/** What an agent may leave unread: several of the longest prompts. */
const INPUT_BACKLOG_LIMIT_BYTES = 64 * 1024 * 1024

/** What an agent needs from the guard. */
export interface AgentContext {
  readonly tier: Tier
  readonly clock: Clock
  readonly report: (report: Report) => void
}

/** A live agent. */
export interface Agent {
  /** Moves the deadline (monotonic ms); false when the agent is already being killed. */
  extend(deadline: number): boolean
  /** False when the agent has left too much unread: the line is not kept. */
  input(line: string): boolean
  closeInput(): void
  /** SIGTERM to the CLI alone, SIGKILL of everything after the grace; 0 = at once. */
  kill(graceMs: number): void
  /** SIGKILL of everything, now. */
  killNow(endedBy: EndedBy): void
  /** Enforces deadline and grace; to be called often. */
  tick(now: number): void
  /** Reports what the agent's processes use, out of a look at the process table. */
  sample(table: readonly ProcessEntry[]): void
  /** Resolves when nothing is left and `exited` is reported. */
  readonly ended: Promise<void>
}

/** Starts an agent and reports `started`. Rejects with `spawn_failed`; then nothing was started. */
export async function startAgent(command: StartCommand, context: AgentContext): Promise<Agent> {
  const { tier, clock, report } = context
  const { agent_id, dir } = command
  const held = await spawnProcess(command, tier)
  const { cli, target, stdin } = held
  const killed = new Set<string>()
  let deadline = command.deadline
  let graceEnds = Number.POSITIVE_INFINITY
  let endedBy: EndedBy = null
  let terminated = false
  let struck = false
  let exited = false

  const killNow = (by: EndedBy): void => {
    if (exited || struck) return
    endedBy ??= by
    struck = true
    for (const name of strike(target).hit) killed.add(name)
    report({ event: 'killing', agent_id, ended_by: endedBy })
  }
  const tick = (now: number): void => {
    if (now >= deadline) killNow('deadline')
    else if (now >= graceEnds) killNow('kill')
  }
  const finish = async (): Promise<void> => {
    const { code, signal, left } = await held.exit
    exited = true
    await sweep(target, killed)
    letGo(target)
    dropTarget(dir)
    report({
      event: 'exited',
      agent_id,
      code,
      signal,
      ended_by: endedBy,
      processes_killed: killed.size + left,
      killed_gracefully: terminated && !struck,
      at: clock.now().toISOString(),
    })
  }

  // Before the release: an agent that ends at once is known to have started.
  report({ event: 'started', agent_id, pid: cli.pid, start_time: cli.startTime })
  // It may have taken long: what would run after its deadline never runs.
  tick(clock.monotonic())
  if (!struck) held.release()
  if (command.input !== '') stdin.write(`${command.input}\n`)
  return {
    extend: (next) => {
      // One that has passed is not moved any more, also where this process was stopped and has not looked since.
      tick(clock.monotonic())
      if (struck) return false
      deadline = next
      return true
    },
    input: (line) => {
      if (stdin.writableLength > INPUT_BACKLOG_LIMIT_BYTES) return false
      stdin.write(`${line}\n`)
      return true
    },
    closeInput: () => void stdin.end(),
    kill: (graceMs) => {
      if (graceMs <= 0) return killNow('kill')
      if (exited || struck) return
      endedBy ??= 'kill'
      graceEnds = Math.min(graceEnds, clock.monotonic() + graceMs)
      if (terminated) return
      terminated = true
      killed.add(nameOf(cli))
      sendTo(cli, 'SIGTERM')
      // A stopped process takes the signal only when it runs again.
      sendTo(cli, 'SIGCONT')
    },
    killNow,
    tick,
    sample: (table) => {
      if (exited) return
      const members = membersOfTarget(target, table)
      const sum = (value: (entry: ProcessEntry) => number): number | null =>
        members && members.reduce((total, entry) => total + value(entry), 0)
      report({
        event: 'sample',
        agent_id,
        state: members === null ? '?' : (members.find((entry) => entry.pid === cli.pid)?.state ?? 'X'),
        cpu_ms: sum((entry) => entry.cpuMs),
        memory_mb: sum((entry) => residentMb(entry.pid)),
        spool_bytes: spoolSize(join(dir, SPOOL_FILE)),
        processes: members?.length ?? null,
      })
    },
    ended: finish(),
  }
}

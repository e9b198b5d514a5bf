/** A pod of the field: a worker process with its guard and agents, behind a proxy of its own. */
import type { Freeze } from './lives.ts'
import {
  agentAt,
  argumentsOf,
  descendantsOf,
  isAlive,
  signalAll,
  type AgentProcess,
  type ProcessRow,
} from './processes.ts'
import type { Proxy } from './proxy.ts'
import type { Role } from './role.ts'

export interface FieldPod {
  readonly id: string
  /** The worker's. */
  readonly pid: number
  readonly dataDir: string
  readonly proxy: Proxy
  /** The worker's child; null while there is none. */
  guardPid(): number | null
  /** The CLIs that run on this pod now. */
  agents(): AgentProcess[]
  /** To the worker alone. SIGSTOP and SIGCONT only stop and wake it; a kill is `kill()`. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void
  signalGuard(signal: NodeJS.Signals): void
  /** SIGSTOP to worker, guard and everything that its agents have started; the witness knows of it. */
  freezeAll(): void
  thawAll(): void
  /** SIGKILL to the worker alone; resolves when it is gone and its connections are closed. */
  kill(): Promise<void>
  /** SIGTERM once: it drains. Resolves with the exit code. */
  drain(): Promise<number | null>
  /** Guards of this pod that live although their worker is gone, or has another one. */
  strayGuards(): number[]
  /** Whether the worker lives. */
  isAlive(): boolean
  /** The worker's log so far. */
  log(): string
  /** Ends it, whatever became of it. */
  stop(): Promise<void>
}

export interface PodParts {
  readonly id: string
  readonly dataDir: string
  readonly proxy: Proxy
  readonly role: Role
  /** Where freezes are noted. */
  readonly freezes: Freeze[]
}

export function createFieldPod({ id, dataDir, proxy, role, freezes }: PodParts): FieldPod {
  const { pid } = role
  let isGone = false
  let frozen: { readonly pids: readonly number[]; readonly freeze: Freeze } | null = null
  void role.exited.then(() => (isGone = true))

  const family = (): ProcessRow[] => (isGone ? [] : descendantsOf(pid))
  const guards = new Set<number>()
  const isGuard = (guard: number): boolean => argumentsOf(guard).some((text) => GUARD_ENTRY.test(text))
  const guardPid = (): number | null => {
    const guard = family().find((row) => row.ppid === pid && isGuard(row.pid))?.pid ?? null
    // Remembered, because nothing of a guard that lost its worker says whose it was.
    if (guard !== null) guards.add(guard)
    return guard
  }
  guardPid()
  const agents = (): AgentProcess[] =>
    family().flatMap((row) => (row.state === 'Z' ? [] : (agentAt(row.pid) ?? [])))

  function thawAll(): void {
    if (frozen === null) return
    frozen.freeze.to = performance.now() + MONOTONIC_OFFSET
    signalAll(frozen.pids, 'SIGCONT')
    frozen = null
  }

  return {
    id,
    pid,
    dataDir,
    proxy,
    guardPid,
    agents,
    signal: (signal) => signalAll([pid], signal),
    signalGuard(signal) {
      const guard = guardPid()
      if (guard === null) throw new Error(`pod ${id} has no guard`)
      signalAll([guard], signal)
    },
    freezeAll() {
      const pids = [pid, ...family().map((row) => row.pid)]
      const agentIds = agents().map((agent) => agent.agentId)
      signalAll(pids, 'SIGSTOP')
      const freeze = { agentIds, from: performance.now() + MONOTONIC_OFFSET, to: null }
      freezes.push(freeze)
      frozen = { pids, freeze }
    },
    thawAll,
    async kill() {
      await role.kill()
      proxy.cut()
    },
    drain: async () => {
      signalAll([pid], 'SIGTERM')
      return await role.exited
    },
    strayGuards() {
      const current = guardPid()
      return [...guards].filter((guard) => guard !== current && isAlive(guard) && isGuard(guard))
    },
    isAlive: () => isAlive(pid),
    log: role.log,
    async stop() {
      thawAll()
      proxy.mode('pass')
      if (!isGone) await role.stop()
      await proxy.close()
    },
  }
}

const GUARD_ENTRY = /guard[\\/]main\.[jt]s$/

/** From `performance.now()` to the machine's monotonic clock, on which the witness writes. */
export const MONOTONIC_OFFSET = Number(process.hrtime.bigint()) / 1e6 - performance.now()

/** The processes of this host, from /proc: who belongs to an agent, and what they use. */
import { readdirSync, readFileSync } from 'node:fs'

/** The variable that every process of an agent inherits. Set by the guard, so that no caller can forget it. */
export const MARK_VARIABLE = 'DROVER_AGENT_MARK'

/** Who a process is: a pid alone is used again. */
export interface Identity {
  readonly pid: number
  /** Clock ticks since boot; 0 where there is no /proc. */
  readonly startTime: number
}

/** One process. */
export interface ProcessEntry extends Identity {
  readonly parent: number
  readonly group: number
  readonly session: number
  /** R, S, D, T, Z …, see proc(5). */
  readonly state: string
  /** CPU time in ms, of the process and of the children it has waited for. */
  readonly cpuMs: number
}

/** USER_HZ: 100 on every Linux, whatever the kernel's own tick is. */
const MS_PER_TICK = 10
/** kthreadd; it and its children are the kernel's own. */
const KERNEL_PARENT = 2

/** True where there is a Linux /proc. */
export const hasProcFilesystem = (): boolean => readProcess(process.pid) !== null

/** The process with this pid; null when there is none (or no /proc). */
export function readProcess(pid: number): ProcessEntry | null {
  const text = readText(`/proc/${pid}/stat`)
  if (text === null) return null
  // The second field is the program's name in parentheses and may hold anything, ")" too.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const number = (index: number): number => Number(fields[index] ?? 0)
  return {
    pid,
    state: fields[0] ?? '?',
    parent: number(1),
    group: number(2),
    session: number(3),
    cpuMs: (number(11) + number(12) + number(13) + number(14)) * MS_PER_TICK,
    startTime: number(19),
  }
}

/** All processes of user space that can still run; none where there is no /proc. */
export function readProcesses(): ProcessEntry[] {
  return listProc()
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readProcess(Number(name)))
    .filter((entry) => entry !== null)
    .filter((entry) => entry.parent !== KERNEL_PARENT && entry.pid !== KERNEL_PARENT && !isDead(entry))
}

/** The identity of a process that is there. */
export function identityOf(pid: number): Identity {
  return { pid, startTime: readProcess(pid)?.startTime ?? 0 }
}

/** True while this very process can still run. */
export function isLive({ pid, startTime }: Identity): boolean {
  const entry = readProcess(pid)
  return entry !== null && entry.startTime === startTime && !isDead(entry)
}

/** An identity as text, to count by. */
export const nameOf = ({ pid, startTime }: Identity): string => `${pid}:${startTime}`

/**
 * Sends a signal to this very process; false when it is gone, also when its pid is somebody else's now. Where there
 * is no /proc the pid alone is gone by: such an identity is only known of a process that the caller has started.
 */
export function sendTo(identity: Identity, signal: NodeJS.Signals): boolean {
  return (identity.startTime === 0 || isLive(identity)) && send(identity.pid, signal)
}

/** Sends a signal to a process group; false when nobody was there to take it. */
export const sendGroup = (group: number, signal: NodeJS.Signals): boolean => send(-group, signal)

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

/** A zombie holds nothing and runs no more: only its parent can take it away. */
export function isDead(entry: ProcessEntry): boolean {
  return entry.state === 'Z' || entry.state === 'X'
}

/**
 * The processes of an agent: those that carry its mark, those in its own session, and all that they started or
 * that share a session with one of them. So a child with a scrubbed environment is found while its parent or its
 * session lives; one that left all three is not: the hole of this tier (M15).
 *
 * `session` is the CLI's pid, which leads a session of its own, or null when that pid may be somebody else's now.
 */
export function membersOf(
  table: readonly ProcessEntry[],
  mark: string,
  session: number | null,
): ProcessEntry[] {
  return closeOver(
    table,
    table.filter((entry) => entry.session === session || hasMark(entry.pid, mark)),
  )
}

/** The processes, all that they started, and all that share a session with one of them. */
export function closeOver(table: readonly ProcessEntry[], seeds: readonly ProcessEntry[]): ProcessEntry[] {
  const members = new Set(seeds)
  for (let before = -1; before !== members.size;) {
    before = members.size
    const pids = new Set([...members].map((entry) => entry.pid))
    const sessions = new Set([...members].map((entry) => entry.session))
    for (const entry of table) if (pids.has(entry.parent) || sessions.has(entry.session)) members.add(entry)
  }
  return [...members]
}

/** Resident memory of a process in MB (2^20 bytes); 0 when it is gone. */
export function residentMb(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readText(`/proc/${pid}/status`) ?? '')
  return Number(match?.[1] ?? 0) / 1024
}

function hasMark(pid: number, mark: string): boolean {
  return readText(`/proc/${pid}/environ`)?.includes(`${MARK_VARIABLE}=${mark}\0`) ?? false
}

/** A file of /proc or /sys; null when it is gone. latin1: bytes stay bytes, and it is the cheapest to decode. */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return null
  }
}

function listProc(): string[] {
  try {
    return readdirSync('/proc')
  } catch {
    return []
  }
}

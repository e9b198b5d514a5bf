/** The process table as the kernel shows it: the rig looks for itself, not through the product. */
import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { FAKE_CLAUDE } from '../../support/fake-claude.ts'

export interface ProcessRow {
  readonly pid: number
  readonly ppid: number
  /** State letter of proc_pid_stat(5). */
  readonly state: string
}

/** A CLI that runs. */
export interface AgentProcess {
  /** As this machine sees it; in its own pid namespace it has another one. */
  readonly pid: number
  readonly agentId: string
  readonly sessionId: string
}

export function readTable(): ProcessRow[] {
  return readdirSync('/proc')
    .map(Number)
    .filter(Number.isSafeInteger)
    .flatMap((pid) => {
      const stat = readProc(pid, 'stat')
      // The name is in parentheses and may hold anything.
      const [state, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return state === undefined || ppid === undefined ? [] : [{ pid, ppid: Number(ppid), state }]
    })
}

/** Everything below a process, parents before children. */
export function descendantsOf(pid: number, table = readTable()): ProcessRow[] {
  const children = table.filter((row) => row.ppid === pid)
  return children.flatMap((child) => [child, ...descendantsOf(child.pid, table)])
}

export function environmentOf(pid: number): Map<string, string> {
  return new Map(
    readProc(pid, 'environ')
      .split('\0')
      .map((entry) => [entry.slice(0, Math.max(0, entry.indexOf('='))), entry.slice(entry.indexOf('=') + 1)]),
  )
}

export function argumentsOf(pid: number): string[] {
  return readProc(pid, 'cmdline').split('\0')
}

/** The fake CLI's own process, not what it is wrapped in. */
export function agentAt(pid: number): AgentProcess | null {
  const [program = '', script] = argumentsOf(pid)
  if (basename(program) !== 'node' || script !== FAKE_CLAUDE) return null
  const environment = environmentOf(pid)
  const agentId = environment.get('AGENT_ID')
  const sessionId = environment.get('DROVER_SESSION_ID')
  return agentId === undefined || sessionId === undefined ? null : { pid, agentId, sessionId }
}

export function isAlive(pid: number): boolean {
  const row = readProc(pid, 'stat')
  return row !== '' && row.slice(row.lastIndexOf(')') + 2, row.lastIndexOf(')') + 3) !== 'Z'
}

/** Those that are gone by now are left out. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      // It ended in the meantime.
    }
  }
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}

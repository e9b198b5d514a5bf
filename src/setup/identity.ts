/** Which process a recorded pid meant: pids are used again, a pid with its start time is not. */
import { readFile } from 'node:fs/promises'
import { execa } from 'execa'

export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks since boot on Linux, a date on macOS: only to be compared. */
  readonly start_time: string
}

/** The identity of a live process; null when there is none with that pid, or only its zombie. */
export async function identityOf(pid: number): Promise<ProcessIdentity | null> {
  const startTime = process.platform === 'linux' ? await startTicks(pid) : await startDate(pid)
  return startTime === null ? null : { pid, start_time: startTime }
}

/** True when exactly that process still runs. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  return (await identityOf(identity.pid))?.start_time === identity.start_time
}

/** Fields 3 (state) and 22 (start time) of proc_pid_stat(5); the name before them may hold spaces and brackets. */
async function startTicks(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  if (stat === null) return null
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null)
}

async function startDate(pid: number): Promise<string | null> {
  const answer = await execa('ps', ['-o', 'lstart=', '-p', String(pid)], {
    reject: false,
    env: { LC_ALL: 'C' },
  })
  const date = answer.stdout?.trim() ?? ''
  return answer.failed || date === '' ? null : date
}

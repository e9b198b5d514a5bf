/** Whether this pod has room for another agent: CPU and memory that are free, over the last seconds. */
import { readFile } from 'node:fs/promises'
import { cpus, freemem } from 'node:os'

export interface RoomLimits {
  /** 0 switches the check off. */
  readonly minFreeMemoryMb: number
  readonly minFreeCpuPercent: number
}

/** Looked at this often; CPU is what was free since a look some seconds ago. */
const LOOK_MS = 1000
const WINDOW = 5

interface CpuTime {
  readonly idle: number
  readonly total: number
}

export interface Room {
  /** Null when there is room, else what is short: `120 MB of memory free, 500 are needed`. */
  shortage(): string | null
  stop(): void
}

/** @param onChange called when room runs out and when it is back */
export function watchRoom(limits: RoomLimits, onChange: (shortage: string | null) => void): Room {
  let shortage: string | null = null
  if (limits.minFreeMemoryMb === 0 && limits.minFreeCpuPercent === 0) {
    return { shortage: () => null, stop: () => {} }
  }
  const window: CpuTime[] = [cpuTime()]
  const timer = setInterval(() => {
    window.push(cpuTime())
    if (window.length > WINDOW) window.shift()
    void look()
  }, LOOK_MS)
  timer.unref()

  async function look(): Promise<void> {
    const found = shortageOf(limits, freeCpuPercent(window), await freeMemoryMb())
    const changed = (found === null) !== (shortage === null)
    shortage = found
    if (changed) onChange(found)
  }

  return { shortage: () => shortage, stop: () => clearInterval(timer) }
}

/** Pure: what is short, in words. */
export function shortageOf(limits: RoomLimits, freeCpu: number, freeMemory: number): string | null {
  const { minFreeMemoryMb, minFreeCpuPercent } = limits
  if (minFreeMemoryMb > 0 && freeMemory < minFreeMemoryMb) {
    return `${Math.round(freeMemory)} MB of memory free, ${minFreeMemoryMb} are needed`
  }
  if (minFreeCpuPercent > 0 && freeCpu < minFreeCpuPercent) {
    return `${Math.round(freeCpu)} % of the CPU free, ${minFreeCpuPercent} are needed`
  }
  return null
}

function cpuTime(): CpuTime {
  let idle = 0
  let total = 0
  for (const { times } of cpus()) {
    idle += times.idle
    total += times.user + times.nice + times.sys + times.irq + times.idle
  }
  return { idle, total }
}

function freeCpuPercent(window: readonly CpuTime[]): number {
  const first = window[0]
  const last = window.at(-1)
  if (first === undefined || last === undefined || last.total === first.total) return 100
  return (100 * (last.idle - first.idle)) / (last.total - first.total)
}

/** What a new process can have without swapping: not `free`, which leaves out the page cache. */
export async function freeMemoryMb(): Promise<number> {
  const meminfo = await readFile('/proc/meminfo', 'utf8').catch(() => '')
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(meminfo)?.[1]
  return available === undefined ? freemem() / 2 ** 20 : Number(available) / 1024
}

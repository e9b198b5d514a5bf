/** Whether this pod has room for another agent: CPU, memory and disk that are free, over the last seconds. */
import { freeCpuPercent, freeDisk, type FreeDisk, type Look, type Looker } from './free.ts'

export interface RoomLimits {
  /** 0 switches the check off. */
  readonly minFreeMemoryMb: number
  readonly minFreeCpuPercent: number
  readonly minFreeDiskMb: number
}

/** What was free at the last look, and over the last seconds. */
export interface Free {
  readonly cpuPercent: number
  readonly memoryMb: number
  /** Null where nobody knows. */
  readonly disk: FreeDisk | null
}

/** Looked at this often; CPU is what was free since a look some seconds ago. */
const LOOK_MS = 1000
const WINDOW = 5
/** A start makes some thirty. */
const LEAST_FILES = 1000
/** A file system that is small on purpose is not full for being small. */
const SHARE_OF_SMALL_DISK = 0.05

export interface Room {
  /** Null when there is room, else what is short: `120 MB of memory free, 500 are needed`. */
  shortage(): string | null
  /** Null before the first look, and where all checks are off. */
  free(): Free | null
  stop(): void
}

/**
 * Looks from now on.
 *
 * @param onChange called when room runs out and when it is back
 * @param onError told of a look that failed: what is known stands until the next one
 */
export function watchRoom(
  limits: RoomLimits,
  onChange: (shortage: string | null) => void,
  onError: (error: unknown) => void,
  look: Promise<Looker>,
  lookMs = LOOK_MS,
): Room {
  let shortage: string | null = null
  let free: Free | null = null
  if (limits.minFreeMemoryMb === 0 && limits.minFreeCpuPercent === 0 && limits.minFreeDiskMb === 0) {
    return { shortage: () => null, free: () => null, stop: () => {} }
  }
  const window: Look[] = []
  let looking = false
  const timer = setInterval(begin, lookMs)
  timer.unref()
  // Memory is known at once, before anything is claimed; CPU from the second look on.
  begin()

  function begin(): void {
    if (looking) return
    looking = true
    void again()
      .catch(onError)
      .finally(() => {
        looking = false
      })
  }

  async function again(): Promise<void> {
    window.push(await (await look)())
    if (window.length > WINDOW) window.shift()
    const [first, last] = [window[0], window.at(-1)]
    if (first === undefined || last === undefined) return
    free = { cpuPercent: freeCpuPercent(first, last), memoryMb: last.freeMemoryMb, disk: last.disk }
    const found = shortageOf(limits, free)
    const changed = (found === null) !== (shortage === null)
    shortage = found
    if (changed) onChange(found)
  }

  return { shortage: () => shortage, free: () => free, stop: () => clearInterval(timer) }
}

/** What a new agent would lack here, in words; null where there is room. */
export function shortageOf(limits: RoomLimits, { cpuPercent, memoryMb, disk }: Free): string | null {
  const { minFreeMemoryMb, minFreeCpuPercent, minFreeDiskMb } = limits
  const short = [
    minFreeMemoryMb > 0 && memoryMb < minFreeMemoryMb
      ? `${Math.round(memoryMb)} MB of memory free, ${minFreeMemoryMb} are needed`
      : null,
    minFreeCpuPercent > 0 && cpuPercent < minFreeCpuPercent
      ? `${Math.round(cpuPercent)} % of the CPU free, ${minFreeCpuPercent} are needed`
      : null,
    diskShortageOf(minFreeDiskMb, disk),
  ].filter((one) => one !== null)
  return short.length === 0 ? null : short.join('; ')
}

function diskShortageOf(minFreeMb: number, disk: FreeDisk | null): string | null {
  if (minFreeMb === 0 || disk === null) return null
  const neededMb = Math.ceil(Math.min(minFreeMb, SHARE_OF_SMALL_DISK * disk.totalMb))
  if (disk.mb < neededMb) return `${Math.floor(disk.mb)} MB of disk free, ${neededMb} are needed`
  if (disk.files === null || disk.files >= LEAST_FILES) return null
  return `${disk.files} files can still be made on the disk, ${LEAST_FILES} are needed`
}

/** What the disks of these directories lack now, in words; null: nothing. */
export async function shortageOnDisks(minFreeMb: number, dirs: readonly string[]): Promise<string | null> {
  if (minFreeMb === 0) return null
  for (const dir of dirs) {
    const shortage = diskShortageOf(minFreeMb, await freeDisk(dir))
    if (shortage !== null) return `${shortage} in ${dir}`
  }
  return null
}

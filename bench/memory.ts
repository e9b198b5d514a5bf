/** Resident memory of a pod with the shipped agent types and nothing to do: worker and guard together. */
import { setTimeout as delay } from 'node:timers/promises'
import { readProcesses, residentMb } from '../src/guard/process-table.ts'
import { claudePath } from '../test/support/claude.ts'
import { median, summarize, type Result } from './report.ts'
import type { Stage } from './stage.ts'
import { startWorker } from './worker.ts'

/** At rest: so many looks in a row that agree within a megabyte. */
const STABLE_LOOKS = 4
const STABLE_MB = 1
const LOOK_MS = 500
const SETTLE_TIMEOUT_MS = 30_000

/** RSS in MB (2^20 bytes), as `ps` shows it: what the two share, the program of Node above all, is counted twice. */
interface Resident {
  readonly worker: number
  readonly guard: number
}

export async function benchMemory(stage: Stage): Promise<readonly Result[]> {
  const measured: Resident[] = []
  for (let pod = 0; pod < stage.pairs; pod++) {
    const worker = await startWorker(stage, { namespace: `bench-memory-${pod}`, claude: claudePath() })
    measured.push(await atRest(worker.pid))
    await worker.stop()
  }
  return [
    {
      bench: 'memory',
      title: 'worker and guard at rest, RSS together, a fresh pod each time',
      unit: 'MB',
      measured: summarize(measured.map(total)),
      goal: { op: '<=', value: 160 },
      details: [
        { label: 'worker', value: median(measured.map(({ worker }) => worker)), unit: 'MB' },
        { label: 'guard', value: median(measured.map(({ guard }) => guard)), unit: 'MB' },
      ],
    },
  ]
}

const total = ({ worker, guard }: Resident): number => worker + guard

async function atRest(pid: number): Promise<Resident> {
  const deadline = performance.now() + SETTLE_TIMEOUT_MS
  const looks: Resident[] = []
  for (;;) {
    const look = residentOf(pid)
    looks.push(look)
    const sums = looks.slice(-STABLE_LOOKS).map(total)
    if (sums.length === STABLE_LOOKS && Math.max(...sums) - Math.min(...sums) <= STABLE_MB) return look
    if (performance.now() > deadline) throw new Error(`the memory of pod ${pid} does not come to rest`)
    await delay(LOOK_MS)
  }
}

/** The guard is the worker's only child. */
function residentOf(pid: number): Resident {
  const guard = readProcesses().find((entry) => entry.parent === pid)
  if (guard === undefined) throw new Error(`pod ${pid} has no guard, or this system has no /proc`)
  return { worker: residentMb(pid), guard: residentMb(guard.pid) }
}

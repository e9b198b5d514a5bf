/**
 * What the machine did not give: a bound of some hundred milliseconds is to find what we do too late, not that a virtual
 * machine stood still for two seconds or that a quota of CPU was used up. A thread that only sleeps sees both.
 */
import { Worker } from 'node:worker_threads'

export interface Standstill {
  /** For how long, between two moments of the machine's monotonic clock (ms), nothing ran on this machine. */
  between(from: number, to: number): number
  stop(): Promise<void>
}

const STEP_MS = 10
/** A thread that is woken that late is none of a busy machine's usual ones. */
const LATE_MS = 50
/** More than a test file can see. */
const MOST = 4096

/** In the thread: [count, last look, from, to, from, to, …], written before they are counted. */
const WATCH = `
const { workerData: seen } = require('node:worker_threads')
const now = () => Number(process.hrtime.bigint()) / 1e6
setInterval(() => {
  const at = now()
  if (at - seen[1] > ${STEP_MS + LATE_MS} && seen[0] < ${MOST}) {
    seen[2 + 2 * seen[0]] = seen[1] + ${STEP_MS}
    seen[3 + 2 * seen[0]] = at
    seen[0] += 1
  }
  seen[1] = at
}, ${STEP_MS})
`
const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6

export function watchStandstill(): Standstill {
  const seen = new Float64Array(new SharedArrayBuffer(8 * (2 + 2 * MOST)))
  seen[1] = monotonicMs()
  const thread = new Worker(WATCH, { eval: true, workerData: seen })
  thread.unref()
  return {
    between(from, to) {
      const [count = 0, last = 0] = seen
      const spans = Array.from({ length: count }, (_, at) => [...seen.subarray(2 + 2 * at, 4 + 2 * at)])
      // Who asks just after a standstill may be awake before the thread is.
      const now = monotonicMs()
      if (now - last > STEP_MS + LATE_MS) spans.push([last + STEP_MS, now])
      return spans.reduce(
        (sum, [began = 0, ended = 0]) => sum + Math.max(0, Math.min(to, ended) - Math.max(from, began)),
        0,
      )
    },
    async stop() {
      await thread.terminate()
    },
  }
}

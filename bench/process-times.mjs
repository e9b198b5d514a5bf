/**
 * Preloaded into the fake CLI (`node --import`): says when the process began and when it left, in milliseconds since
 * 1970 with three digits behind the point, so that other processes' times compare.
 */
import { appendFileSync } from 'node:fs'

process.on('exit', () => {
  const times = {
    session_id: process.env.DROVER_SESSION_ID,
    began: performance.timeOrigin,
    left: performance.timeOrigin + performance.now(),
  }
  appendFileSync(process.env.BENCH_TIMES_FILE, `${JSON.stringify(times)}\n`)
})

/** The pod's guard; a new one when it died (its agents died with it). Without one the pod claims nothing. */
import { join } from 'node:path'
import type { Config } from '../config/settings.ts'
import { sleep } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import { startGuard, type Guard } from '../guard/client.ts'
import { endLeftGuards } from '../guard/guard-record.ts'
import type { Logger } from '../telemetry/logger.ts'

/** Before another guard is tried, doubled up to a minute. */
const GUARD_AGAIN_MS = 500

export interface GuardKeeper {
  /** The guard; waits for the next one while there is none. */
  current(): Promise<Guard>
  alive(): boolean
  pid(): number
  /** How its agents are held together. */
  tier(): string
  stop(): Promise<void>
}

/**
 * Ends what dead workers of this data directory left, and starts the pod's guard.
 *
 * @param onChange called when the guard died, and when there is a new one
 * @throws DroverError `spawn_failed`: no guard can be started, or none of the required tier
 */
export async function createGuardKeeper(
  config: Config,
  log: Logger,
  onChange: () => void,
): Promise<GuardKeeper> {
  const recordDir = join(config.dataDir, 'guards')
  const options = {
    heartbeatMs: config.liveness.heartbeatMs,
    requireTier: config.guard.requireTier,
    recordDir,
    log,
  }
  const left = await endLeftGuards(recordDir)
  if (left > 0) log.warn({ processes: left }, 'ended what an earlier guard of this data directory had left')
  const stopped = new AbortController()
  let guard = await startGuard(options)
  let next: Promise<Guard> = Promise.resolve(guard)
  let alive = true
  watch(guard)

  function watch(watched: Guard): void {
    void watched.gone.then(() => {
      if (stopped.signal.aborted) return
      log.error({ guard: watched.pid }, 'the guard died; starting a new one')
      alive = false
      onChange()
      next = startAgain()
    })
  }

  async function startAgain(): Promise<Guard> {
    for (let waitMs = GUARD_AGAIN_MS; ; waitMs = Math.min(waitMs * 2, 60_000)) {
      try {
        guard = await startGuard(options)
        alive = true
        watch(guard)
        onChange()
        return guard
      } catch (error) {
        log.error({ error: messageOf(error) }, 'no guard could be started')
        await sleep(waitMs, stopped.signal)
        if (stopped.signal.aborted) throw error
      }
    }
  }

  return {
    current: () => next,
    alive: () => alive,
    pid: () => guard.pid,
    tier: () => guard.tier,
    async stop() {
      stopped.abort()
      await (await next.catch(() => guard)).stop()
    },
  }
}

/** `kill --stalled` and `restart --all-failed`: which ones, and what became of each. */
import type {
  KillAnswer,
  KillStalledAnswer,
  NotDone,
  RestartAnswer,
  RestartFailedAnswer,
} from '../core/answer.ts'
import { DroverError, isDroverError } from '../core/errors.ts'
import type { RestartFailedBody } from '../core/request.ts'
import type { LedgerReader, SessionView } from '../ledger/ledger.ts'
import { allRows } from './all-rows.ts'
import type { Control, ControlledBy } from './control.ts'
import type { Monitor } from './monitor.ts'
import { restartsBefore } from './restart-plan.ts'

export interface ControlAllParts {
  readonly ledger: LedgerReader
  readonly control: Control
  readonly monitor: Pick<Monitor, 'running'>
  readonly maxRestarts: number
}

export interface ControlAll {
  /** Kills every session whose agent is stalled or dead; several at a time. */
  killStalled(by: ControlledBy): Promise<KillStalledAnswer>
  /** Restarts every failed session that was not restarted yet and that a restart may mend, oldest first. */
  restartFailed(body: RestartFailedBody, by: ControlledBy): Promise<RestartFailedAnswer>
}

const DAY_MS = 24 * 3_600_000
/** Each waits for its pod. */
const PARALLEL = 16

export function createControlAll(parts: ControlAllParts): ControlAll {
  const { ledger, control } = parts

  return {
    async killStalled(by) {
      const killed: KillAnswer[] = []
      const failed: NotDone[] = []
      const stalled = (await parts.monitor.running()).filter(({ health }) => health !== 'healthy')
      await eachOf(stalled, async ({ agent: { agent_id, agent_type, session_id } }) => {
        try {
          killed.push(await control.kill(agent_id, { reason: 'its agent is stalled' }, by))
        } catch (error) {
          // It ended, or went on with another agent, while we looked.
          if (isDroverError(error) && HAS_MOVED_ON.has(error.code)) return
          failed.push(notDone(error, { agent_id, agent_type, session_id }))
        }
      })
      return {
        success: failed.length === 0,
        action: 'kill_stalled',
        agents_killed: killed.length,
        killed_agents: killed,
        not_killed: failed,
        timestamp: new Date().toISOString(),
      }
    },

    async restartFailed({ since }, by) {
      const restarted: RestartAnswer[] = []
      const skipped: NotDone[] = []
      const query = { status: 'failed', since: since ?? new Date(Date.now() - DAY_MS).toISOString() }
      const failed = allRows((page) => ledger.sessions.list(page), query).toReversed()
      // One after the other, so that they queue in the order in which they were asked for.
      for (const session of failed) {
        if (by.signal.aborted) break
        if (ledger.sessions.restartOf(session.session_id) !== null) continue
        try {
          refuseTooMany(session)
          restarted.push(await control.restart(session.session_id, {}, by))
        } catch (error) {
          skipped.push(notDone(error, session))
        }
      }
      return {
        success: true,
        action: 'restart_all_failed',
        agents_restarted: restarted.length,
        restarted,
        skipped,
        timestamp: new Date().toISOString(),
      }
    },
  }

  /** A person may restart it as often as wanted, one by one; all at once is not for what keeps failing. */
  function refuseTooMany(session: SessionView): void {
    const restarts = restartsBefore(ledger, session)
    if (restarts < parts.maxRestarts) return
    throw new DroverError(
      'max_retries_exceeded',
      `The session ${session.session_id} is restart ${restarts} of the same work (${parts.maxRestarts} at most). ` +
        'Look at why it fails; then restart it by its id.',
      { session_id: session.session_id, retry_count: restarts, max_retries: parts.maxRestarts },
    )
  }
}

const HAS_MOVED_ON: ReadonlySet<string> = new Set(['session_ended', 'process_not_found', 'session_not_found'])

function notDone(
  error: unknown,
  { session_id, agent_id, agent_type }: Pick<NotDone, 'session_id' | 'agent_id' | 'agent_type'>,
): NotDone {
  if (!isDroverError(error)) throw error
  return { session_id, agent_id, agent_type, error: error.code, message: error.message }
}

async function eachOf<Item>(items: readonly Item[], act: (item: Item) => Promise<void>): Promise<void> {
  const rest = items.values()
  const lanes = Array.from({ length: PARALLEL }, async () => {
    for (const item of rest) await act(item)
  })
  await Promise.all(lanes)
}

/**
 * Prompts of tasks as they were given (`queue/unredacted.ts`) stay for as long as another run of the task may need them:
 * until it is completed, or a day after it failed or was cancelled. Looked at once a minute, against the ledger:
 *
 *     the ledger's task                     then
 *     waits, runs, ended within a day       it stays
 *     is completed, or ended before that    it goes
 *     was given otherwise                   it goes: somebody else added that id first
 *     is not there                          it stays for a week: its event may not be recorded yet
 *
 * Nothing is remembered, so dying anywhere costs a minute.
 */
import { messageOf } from '../core/errors.ts'
import type { TaskView } from '../core/task-view.ts'
import type { Ledger } from '../ledger/open.ts'
import { REMEMBER_SECONDS } from '../queue/ended-session.ts'
import { ENDED_TTL_SECONDS } from '../queue/session-store.ts'
import type { KeptPrompt, UnredactedStore } from '../queue/unredacted.ts'
import type { Logger } from '../telemetry/logger.ts'
import { createPasses, type Passes } from './passes.ts'
import type { Recorder } from './recorder.ts'

const PASS_MS = 60_000

export interface UnredactedKeeperParts {
  readonly unredacted: Pick<UnredactedStore, 'list' | 'keptAt' | 'forget'>
  readonly ledger: Pick<Ledger, 'tasks'>
  readonly recorder: Pick<Recorder, 'recording'>
  readonly log: Pick<Logger, 'warn'>
  /** @default 60000 */
  readonly passMs?: number
}

export function createUnredactedKeeper(parts: UnredactedKeeperParts): Passes {
  const { unredacted, ledger, recorder, log, passMs = PASS_MS } = parts

  async function pass(): Promise<void> {
    if (!recorder.recording) return
    const gone: KeptPrompt[] = []
    for (const kept of await unredacted.list()) {
      const task = ledger.tasks.get(kept.taskId)
      const now = Date.now()
      const isOver = task === null ? await isForgotten(kept, now) : !isNeeded(kept.digest, task, now)
      if (isOver) gone.push(kept)
    }
    await unredacted.forget(gone)
  }

  async function isForgotten(kept: KeptPrompt, now: number): Promise<boolean> {
    const keptAt = await unredacted.keptAt(kept)
    return keptAt !== null && now - keptAt > REMEMBER_SECONDS * 1000
  }

  return createPasses(pass, passMs, (error) => {
    log.warn(
      { kind: 'unredacted' },
      `Prompts of tasks that are over could not be removed from Redis; in a minute again: ${messageOf(error)}`,
    )
  })
}

/**
 * @param digest of what was given when the prompt was kept
 * @param now in milliseconds since 1970
 */
function isNeeded(
  digest: string,
  { redacted, status, completed_at: endedAt }: Pick<TaskView, 'status' | 'redacted' | 'completed_at'>,
  now: number,
): boolean {
  if (redacted?.digest !== digest || status === 'completed') return false
  return endedAt === null || now - Date.parse(endedAt) < ENDED_TTL_SECONDS * 1000
}

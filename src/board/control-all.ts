/** `kill --stalled` and `restart --all-failed`: which ones, and what became of each. */
import type {
  KillAnswer,
  KillStalledAnswer,
  NotDone,
  RestartAnswer,
  RestartFailedAnswer,
} from '../core/answer.ts'
import { DroverError, isDroverError } from '../core/errors.ts'
import { healthOf } from '../core/health.ts'
import type { RestartFailedBody } from '../core/request.ts'
import { isLive } from '../core/state.ts'
import type { AgentView, LedgerReader, ListQuery, Page, SessionView } from '../ledger/ledger.ts'
import type { SessionBeat } from '../queue/beats.ts'
import type { Control, ControlledBy } from './control.ts'
import { restartsBefore } from './restart-plan.ts'
import type { ViaRedis } from './via-redis.ts'

export interface ControlAllParts {
  readonly ledger: LedgerReader
  readonly control: Control
  readonly beatsOf: (sessionIds: readonly string[]) => Promise<ReadonlyMap<string, SessionBeat>>
  /** After how many milliseconds without a beat an agent of the type is stalled. */
  readonly stallTimeoutMs: (agentType: string) => number
  readonly maxRestarts: number
  readonly viaRedis: ViaRedis
}

export interface ControlAll {
  /** Kills every session whose agent is stalled or dead; several at a time. */
  killStalled(by: ControlledBy): Promise<KillStalledAnswer>
  /** Restarts every failed session that was not restarted yet and that a restart may mend, oldest first. */
  restartFailed(body: RestartFailedBody, by: ControlledBy): Promise<RestartFailedAnswer>
}

const PAGE = 200
const DAY_MS = 24 * 3_600_000
/** Each waits for its pod. */
const PARALLEL = 16

export function createControlAll(parts: ControlAllParts): ControlAll {
  const { ledger, control } = parts

  return {
    async killStalled(by) {
      const killed: KillAnswer[] = []
      const failed: NotDone[] = []
      await eachOf(await stalledAgents(), async ({ agent_id, agent_type, session_id }) => {
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
      const failed = all((page) => ledger.sessions.list(page), query).toReversed()
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

  async function stalledAgents(): Promise<readonly AgentView[]> {
    const agents = ['spawned', 'running'].flatMap((status) =>
      all((page) => ledger.agents.list(page), { status }),
    )
    const beats = await parts.viaRedis(parts.beatsOf(agents.map((agent) => agent.session_id)))
    const now = Date.now()
    return agents.filter((agent) => {
      const session = beats.get(agent.session_id)
      if (session === undefined || session.agentId !== agent.agent_id || !isLive(session.state)) return false
      const beat = { ...session.beat, at: session.beat.at ?? Date.parse(agent.spawned_at) }
      return healthOf(beat, parts.stallTimeoutMs(agent.agent_type), now) !== 'healthy'
    })
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

/** Every row of a list, newest first. */
function all<Row>(list: (query: ListQuery) => Page<Row>, query: ListQuery): Row[] {
  const rows: Row[] = []
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page: Page<Row> = list({ ...query, limit: PAGE, ...(cursor === undefined ? {} : { cursor }) })
    rows.push(...page.rows)
    cursor = page.nextCursor
  }
  return rows
}

async function eachOf<Item>(items: readonly Item[], act: (item: Item) => Promise<void>): Promise<void> {
  const rest = items.values()
  const lanes = Array.from({ length: PARALLEL }, async () => {
    for (const item of rest) await act(item)
  })
  await Promise.all(lanes)
}

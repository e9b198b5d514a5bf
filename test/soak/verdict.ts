/** What must hold when everything is healed: the rig's invariants, and what only a soak can know. */
import { messageOf } from '../../src/core/errors.ts'
import type { Field } from '../fault/rig/field.ts'
import { findBreaches, type InvariantFigures } from '../fault/rig/invariants.ts'
import { until } from '../support/until.ts'
import type { Arena } from './arena.ts'
import type { Watch } from './watch.ts'
import type { Submission, Workload } from './workload.ts'

export interface Verdict {
  readonly breaches: readonly string[]
  readonly figures: InvariantFigures
  /** Acknowledged by Redis alone just before it lost everything: what `durability: "redis"` means. */
  readonly lostBeforeRecord: number
  /** Kills that Redis alone had acknowledged when it lost everything: the same, of a kill through the producer. */
  readonly lostKills: number
  /** Milliseconds from the healing to the last session's end and an empty lag. */
  readonly settledMs: number
}

/** The longest back-offs, stalls and takeovers of all that waits, one after the other. */
const SETTLE_LEASES = 50
/** Reasons for which an agent is tried again: a healthy session fails for them only when its tries are used up. */
const TRIED_AGAIN = new Set([
  'crashed',
  'stalled',
  'worker_lost',
  'startup_timeout',
  'no_result',
  'api_error',
])
const MOST_RESTARTS = 3

/** Waits, within its bound, until the field has settled, and checks everything. */
export async function judge(arena: Arena, workload: Workload, watch: Watch): Promise<Verdict> {
  const { field } = arena
  const healedAt = field.now()
  const settleMs = SETTLE_LEASES * field.times.ttlMs
  const submitted = workload.submissions
  const lost = (): Submission[] => submitted.filter((one) => isLostToWipe(arena, one))
  const late = await until(
    () => submitted.every((one) => watch.isEnded(one.sessionId) || isLostToWipe(arena, one)),
    {
      timeoutMs: settleMs,
    },
  ).then(
    () => [],
    () =>
      submitted
        .filter((one) => !watch.isEnded(one.sessionId) && !isLostToWipe(arena, one))
        .map(
          (one) => `liveness: ${describe(field, one)} has no end ${settleMs} ms after everything was healed`,
        ),
  )
  const settledMs = field.now() - healedAt
  // Of a session that is lost as a whole nothing can be said any more, and its agents' ids are free again.
  const lostIds = new Set(lost().map((one) => one.sessionId))
  const kept = submitted.filter((one) => !lostIds.has(one.sessionId))
  const view: Field = {
    ...field,
    accepted: kept.map((one) => one.sessionId),
    witness: () => watch.witness().filter((record) => !lostIds.has(record.session_id)),
    // Which sessions have ended is known by now; what is left is the recorder's lag.
    settled: () => field.settled(settleMs),
  }
  const invariants = await findBreaches(view).catch((error: unknown) => ({
    breaches: [`the invariants cannot be checked: ${messageOf(error)}`],
    figures: null,
  }))
  return {
    breaches: [
      ...late,
      ...invariants.breaches,
      ...kept.flatMap((one) => endBreaches(field, one)),
      ...kept
        .filter((one) => !isKillLostToWipe(arena, one))
        .flatMap((one) => killBreaches(field, one, watch)),
      ...stallBreaches(arena, kept),
      ...blindness(field, watch),
      ...workload.problems,
    ],
    figures: invariants.figures ?? NOTHING,
    lostBeforeRecord: lostIds.size,
    lostKills: kept.filter((one) => isKillLostToWipe(arena, one)).length,
    settledMs,
  }
}

const NOTHING: InvariantFigures = {
  sessions: 0,
  agents: 0,
  events: 0,
  thawedOverlaps: 0,
  worstThawedMs: 0,
  lateEvents: 0,
  tailsUnknown: 0,
}

/** Not in the ledger, and the answer did not say it was; a wipe came after it. */
function isLostToWipe({ field, wipes }: Arena, { sessionId, acknowledgedAt, inLedger }: Submission): boolean {
  if (inLedger || acknowledgedAt === null || field.ledger.session(sessionId) !== undefined) return false
  return wipes.some((at) => at >= acknowledgedAt)
}

/** Answered by Redis, of which the ledger has nothing; a wipe came after it. */
function isKillLostToWipe({ field, wipes }: Arena, { sessionId, kill }: Submission): boolean {
  if (kill?.outcome !== 'done' || kill.answeredAt === null) return false
  const { answeredAt } = kill
  const isRecorded = field.ledger
    .events(sessionId)
    .some((event) => event.type === 'drover.session.cancel_requested')
  return !isRecorded && wipes.some((at) => at >= answeredAt)
}

function describe(field: Field, { sessionId, work }: Submission): string {
  const row = field.ledger.session(sessionId)
  return `session ${sessionId} (${work.kind}, ${row?.status ?? 'not in the ledger'})`
}

/** I3 and I7: it ended as its work says, or after all its tries, and never after more. */
function endBreaches(field: Field, submission: Submission): string[] {
  const { sessionId, work, kill } = submission
  const row = field.ledger.session(sessionId)
  if (row === undefined) return []
  const breaches: string[] = []
  if (row.restarts > MOST_RESTARTS)
    breaches.push(`I7: ${describe(field, submission)} has ${row.restarts} restarts`)
  const usedUp = row.restarts === MOST_RESTARTS && TRIED_AGAIN.has(row.failure_reason ?? '')
  const right =
    work.ends.some((end) => end === row.status) ||
    (row.status === 'failed' && usedUp) ||
    (row.status === 'cancelled' && kill !== null)
  if (!right && ENDS.has(row.status)) {
    breaches.push(
      `end: ${describe(field, submission)} should be ${work.ends.join(' or ')}: ${row.failure_reason ?? 'no reason'} after ` +
        `${row.restarts} restarts, ${row.error_message ?? 'no message'}`,
    )
  }
  return breaches
}

const ENDS = new Set(['completed', 'failed', 'cancelled'])

/** What the witness did not see it cannot have found fault with. */
function blindness({ ledger }: Field, watch: Watch): string[] {
  const seen = new Set(watch.witness().map((record) => record.agent_id))
  return ledger
    .agents()
    .filter((agent) => agent.cost_micros !== null && agent.cost_micros > 0 && !seen.has(agent.agent_id))
    .map((agent) => `rig: the witness has not seen ${agent.agent_id} of ${agent.session_id}`)
}

/** F34: a kill that was answered has cancelled, and nothing started after the answer. */
function killBreaches(field: Field, submission: Submission, watch: Watch): string[] {
  const { sessionId, kill } = submission
  if (kill === null || kill.outcome !== 'done') return []
  const row = field.ledger.session(sessionId)
  const started = watch
    .witness()
    .filter(({ kind, session_id: id, mono_ns: at }) => {
      return (
        kind === 'start' &&
        id === sessionId &&
        Number(at) / 1e6 > (kill.answeredAt ?? Number.POSITIVE_INFINITY)
      )
    })
    .map((record) => `kill: ${record.agent_id} of ${sessionId} started after its kill was answered`)
  return row?.status === 'cancelled'
    ? started
    : [...started, `kill: ${describe(field, submission)} was answered as killed`]
}

/** I8: nobody is called stalled who was never stopped. */
function stallBreaches({ field, stopped }: Arena, submissions: readonly Submission[]): string[] {
  return submissions
    .filter((one) => !one.work.stalls)
    .flatMap(({ sessionId, work }) =>
      field.ledger
        .events(sessionId)
        .filter((event) => event.type === 'drover.agent.stalled' && !stopped.has(event.agent_id ?? ''))
        .map(
          (event) =>
            `I8: ${event.agent_id} of ${sessionId} (${work.kind}) was called stalled: ${event.payload}`,
        ),
    )
}

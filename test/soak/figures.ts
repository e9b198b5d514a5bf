/** What a soak has seen, as numbers. */
import type { Field } from '../fault/rig/field.ts'
import { livesOf } from '../fault/rig/lives.ts'
import type { WitnessRecord } from '../support/fake-claude.ts'
import type { Arena } from './arena.ts'
import type { Verdict } from './verdict.ts'
import type { Workload } from './workload.ts'

type Counts = Record<string, number>

export interface Figures {
  /** By the state in which they ended. */
  readonly sessions: Counts
  readonly work: Counts
  readonly faults: Counts
  readonly agents: number
  readonly events: number
  /** Restarts that cost a try, by reason. */
  readonly restarts: Counts
  /** Agents that followed another one without a try: hand-overs, takeovers, fresh starts. */
  readonly free_steps: number
  /** Agents that went on on another pod than the one before. */
  readonly moves: number
  /** What Drover ended, by reason. */
  readonly kills: Counts
  readonly stalls: number
  /** Lines and ends of superseded agents: recorded, and refused to change anything. */
  readonly late_events: number
  readonly tails_unknown: number
  readonly requests: Readonly<Counts>
  readonly lost_before_record: number
  readonly lost_kills: number
  readonly pod_restarts: number
  readonly overlaps: number
  readonly thawed_overlaps: number
  readonly orphans: number
  readonly gaps: number
  /** Milliseconds from an agent's last sign of life to the next one of its session, back-off and queue included. */
  readonly recovery: { readonly count: number; readonly median: number; readonly worst: number }
  readonly settled_ms: number
  /** Consequences that no fault had: what this run says nothing about. */
  readonly never_happened: readonly string[]
}

export function figuresOf(
  { field, fleet, deeds }: Arena,
  workload: Workload,
  verdict: Verdict,
  witness: readonly WitnessRecord[],
): Figures {
  const { ledger } = field
  const sessions = ledger.sessions()
  const agents = ledger.agents()
  const own = sessions
    .flatMap(({ session_id: id }) => ledger.events(id))
    .filter((event) => event.line === null)
  const reasons = (type: string): string[] =>
    own.filter((event) => event.type === type).map(({ payload }) => reasonOf(payload))
  const restarts = countBy(reasons('drover.session.restarting'))
  const followers = Math.max(0, agents.length - new Set(agents.map((agent) => agent.session_id)).size)
  const tries = sessions.reduce((sum, session) => sum + session.restarts, 0)
  const breachesOf = (id: string): number => verdict.breaches.filter((text) => text.startsWith(id)).length
  const figures = {
    sessions: countBy(sessions.map((session) => session.status)),
    work: countBy(workload.submissions.map(({ work }) => work.kind)),
    faults: countBy(deeds.map((deed) => deed.kind)),
    agents: agents.length,
    events: verdict.figures.events,
    restarts,
    free_steps: Math.max(0, followers - tries),
    moves: movesOf(field),
    kills: countBy(reasons('drover.agent.killed')),
    stalls: own.filter((event) => event.type === 'drover.agent.stalled').length,
    late_events: verdict.figures.lateEvents,
    tails_unknown: verdict.figures.tailsUnknown,
    requests: { ...workload.counts },
    lost_before_record: verdict.lostBeforeRecord,
    lost_kills: verdict.lostKills,
    pod_restarts: fleet.restarts,
    overlaps: breachesOf('I1'),
    thawed_overlaps: verdict.figures.thawedOverlaps,
    orphans: breachesOf('I6'),
    gaps: breachesOf('I5'),
    recovery: recoveryOf(witness),
    settled_ms: Math.round(verdict.settledMs),
  }
  return { ...figures, never_happened: neverHappened(figures) }
}

/** Many lines for people. */
export function formatFigures(figures: Figures): string {
  const list = (counts: Readonly<Counts>): string =>
    Object.entries(counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ') || 'none'
  const { recovery } = figures
  return [
    `sessions         ${list(figures.sessions)}`,
    `work             ${list(figures.work)}`,
    `faults           ${list(figures.faults)}`,
    `agents           ${figures.agents}, ${figures.events} events, ${figures.pod_restarts} pods started again`,
    `restarts         ${list(figures.restarts)}`,
    `hand-overs       ${figures.free_steps} without a try, ${figures.moves} to another pod`,
    `killed by Drover ${list(figures.kills)}`,
    `stalls           ${figures.stalls}`,
    `refused, stale   ${figures.late_events} events of superseded agents, ${figures.tails_unknown} tails unknown`,
    `requests         ${list(figures.requests)}`,
    `lost with Redis  ${figures.lost_before_record} sessions and ${figures.lost_kills} kills acknowledged by Redis alone`,
    `overlaps         ${figures.overlaps} (and ${figures.thawed_overlaps} of thawed agents, within their bound)`,
    `orphans          ${figures.orphans}`,
    `gaps             ${figures.gaps}`,
    `recovery         median ${recovery.median} ms, worst ${recovery.worst} ms, of ${recovery.count}`,
    `settled          ${figures.settled_ms} ms after everything was healed`,
    `never happened   ${figures.never_happened.join(', ') || 'nothing of what is counted'}`,
  ].join('\n')
}

function countBy(names: readonly string[]): Counts {
  const counts: Counts = {}
  for (const name of names.toSorted()) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

function reasonOf(payload: string): string {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- both events have one
  return (JSON.parse(payload) as { readonly reason: string }).reason
}

function movesOf({ ledger }: Field): number {
  const last = new Map<string, string>()
  return ledger.agents().filter(({ session_id: id, pod_id: pod }) => {
    const before = last.get(id)
    last.set(id, pod)
    return before !== undefined && before !== pod
  }).length
}

function recoveryOf(witness: readonly WitnessRecord[]): Figures['recovery'] {
  const last = new Map<string, number>()
  const gaps = livesOf(witness).flatMap(({ sessionId, from, to }) => {
    const before = last.get(sessionId)
    last.set(sessionId, to)
    return before === undefined ? [] : [Math.round(from - before)]
  })
  gaps.sort((a, b) => a - b)
  return { count: gaps.length, median: gaps[Math.floor(gaps.length / 2)] ?? 0, worst: gaps.at(-1) ?? 0 }
}

function neverHappened(figures: Omit<Figures, 'never_happened'>): string[] {
  const expected: Readonly<Record<string, number>> = {
    'a session completed': figures.sessions['completed'] ?? 0,
    'a session failed': figures.sessions['failed'] ?? 0,
    'a session cancelled': figures.sessions['cancelled'] ?? 0,
    'a restart after a crash': figures.restarts['crashed'] ?? 0,
    'a restart after a lost worker': figures.restarts['worker_lost'] ?? 0,
    'a restart after a stall': figures.restarts['stalled'] ?? 0,
    'a hand-over': figures.free_steps,
    'a move to another pod': figures.moves,
    'a lost guard': figures.kills['guard_lost'] ?? 0,
    'an agent ended with its lease': figures.kills['lease_lost'] ?? 0,
    'an agent ended by a drain': figures.kills['drain'] ?? 0,
    'an agent ended by a kill': figures.kills['cancel'] ?? 0,
    'a stale event': figures.late_events,
    'a tail unknown': figures.tails_unknown,
    'a repeat of a key': figures.requests['repeats'] ?? 0,
    'a conflict of a key': figures.requests['conflicts'] ?? 0,
    'an answer lost': figures.requests['unanswered'] ?? 0,
  }
  return Object.entries(expected).flatMap(([name, count]) => (count === 0 ? [name] : []))
}

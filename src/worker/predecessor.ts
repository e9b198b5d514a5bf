/**
 * The agent that a session had before, where the worker that had it is gone: what it left is put on the stream, and the
 * session goes on from its outcome.
 */
import { join } from 'node:path'
import { sleep } from '../core/clock.ts'
import type { AgentClosed, AgentExited } from '../core/events.ts'
import { classifyOutcome, NO_FACTS, type Outcome, type StreamFacts } from '../core/outcome.ts'
import { isLive } from '../core/state.ts'
import { NO_TALK, observeTalk, type TalkFacts } from '../core/talk-facts.ts'
import { waitedUpTo } from '../core/waited-time.ts'
import type { OwnEvent } from '../queue/own-event.ts'
import { deadEvents } from '../queue/session-end.ts'
import type { AgentRef, SessionRecord } from '../queue/session-store.ts'
import { createAgentStream, type PublishedSpool } from './agent-stream.ts'
import type { Claim, ClaimedJob, Next, SessionParts } from './claimed-session.ts'
import { concludeWithFiles } from './conclude.ts'
import { deliveries } from './given-messages.ts'
import { preflight } from './preflight.ts'
import { wasCancelled } from './stop.ts'
import { preflightParts } from './workspace-wait.ts'

/** How often the lease of another slot is looked at. */
const SLOT_LOOK_MS = 250
/**
 * Until a job whose session somebody else runs is looked at again: the worker that gave it back has taken another one by
 * then, also of less priority (`claims.ts`).
 */
const HELD_MS = 2000

/**
 * The session's agent is run by another claim, which has renewed its lease of late: BullMQ has given its job out a second
 * time. Where a type has several slots, one that waited for it here would stand idle for as long as it runs.
 */
export async function isRunElsewhere(parts: SessionParts, { state, lease }: SessionRecord): Promise<boolean> {
  if (!isLive(state) || lease === null) return false
  return isRenewed(parts, await parts.leases.leftMs(lease))
}

/** A job of a dead worker is given out when its lease, too, is about to be over. */
function isRenewed({ config }: SessionParts, leftMs: number): boolean {
  return leftMs > config.lease.ttlMs / 2
}

/** The claim of a session whose agent runs on another pod: its job is looked at again later. */
export const HELD_ELSEWHERE: Claim = { laterMs: HELD_MS }

/** Where a type has several slots, ours says nothing of the one that the agent before has: its end is waited for. */
export async function afterPredecessor(
  parts: SessionParts,
  job: ClaimedJob,
  stop: AbortSignal,
  record: SessionRecord,
): Promise<Next> {
  for (;;) {
    const leftMs = record.lease === null ? 0 : await parts.leases.leftMs(record.lease)
    if (leftMs === 0) break
    if (isRenewed(parts, leftMs)) return HELD_ELSEWHERE
    await sleep(SLOT_LOOK_MS, job.closing)
    // A cancel is its holder's to act on.
    if (job.closing.aborted || (stop.aborted && !wasCancelled(stop))) return 'hand_over'
  }
  // It may have ended, or said its last, in the meantime.
  const now = await parts.store.read(job.sessionId)
  if (now === null || !isLive(now.state) || now.epoch !== record.epoch) return 'resume'
  return await closePredecessor(parts, job, now)
}

/** Its lease is gone or ours, so the worker that had this agent is gone, and by its deadline the agent too. */
async function closePredecessor(parts: SessionParts, job: ClaimedJob, record: SessionRecord): Promise<Next> {
  if (record.agentId === null)
    throw new Error(`session ${record.sessionId} is ${record.state} without an agent`)
  const agent = {
    sessionId: record.sessionId,
    agentType: record.agentType,
    agentId: record.agentId,
    epoch: record.epoch,
  }
  // What it had printed may be on this very disk, its result too; elsewhere what it had published is known.
  const left = await takeLeftSpool(parts, agent)
  const found = classifyOutcome({
    facts: left?.facts ?? record.facts ?? NO_FACTS,
    exit: null,
    asked: record.cancel !== null ? 'cancel' : 'worker_lost',
    stderrTail: '',
    spawnError: null,
  })
  // It had nothing to do but wait for a person: that is no try of the work.
  const isFree = found.retry === 'again' && record.state === 'waiting_input'
  const outcome: Outcome = isFree ? { ...found, retry: 'resume' } : found
  const exited: AgentExited = {
    status: 'superseded',
    pid: record.pid,
    exit_code: null,
    exit_signal: null,
    failure_reason: outcome.failureReason,
    message: outcome.message,
    stderr_tail: '',
  }
  const closed: AgentClosed =
    left === null
      ? { lines: record.cursor, bytes: 0, sha256: null, tail_unknown: true }
      : { ...left.stats, tail_unknown: false }
  const events: OwnEvent[] = [
    ...deadEvents(record),
    { type: 'drover.agent.exited', payload: exited },
    { type: 'drover.agent.closed', payload: closed },
  ]
  const started = await takenUp(parts, record, left?.messages)
  const isAsking = record.waitingSince > 0 && record.interruptedUntil === 0
  return await concludeWithFiles(parts, job, record, await workedIn(parts, job.spec, record), {
    agent,
    outcome,
    events: [...deliveries(started), ...events],
    talk: {
      started,
      done: [...(left?.messages ?? [])].filter(([, how]) => how === 'done').map(([id]) => id),
    },
    waitedMs: isAsking ? waitedUpTo(record, parts.clock.now().getTime()) : null,
  })
}

/** Where the agents of a session that has begun work, on this pod; null where that is elsewhere. */
async function workedIn(
  parts: SessionParts,
  spec: ClaimedJob['spec'],
  record: SessionRecord,
): Promise<string | null> {
  if (spec.expectFiles.length === 0) return null
  const check = await preflight(preflightParts(parts), spec, record)
  if (!check.ok || record.workspaceId === null || check.workspaceId !== record.workspaceId) return null
  if (check.repository === null) return check.dir
  return record.worktreePath === null ? null : join(record.worktreePath, check.repository.prefix)
}

/** The rest of a dead agent's spool goes to the stream; null where it is not here. Lines that were taken are dropped. */
async function takeLeftSpool(
  parts: SessionParts,
  agent: AgentRef,
): Promise<{
  readonly facts: StreamFacts
  readonly stats: PublishedSpool
  /** What its lines say of messages. */
  readonly messages: TalkFacts['messages']
} | null> {
  let said = NO_TALK
  const spool = await parts.launcher.leftSpool(agent.sessionId, agent.agentId)
  if (spool === null) return null
  const stream = createAgentStream({
    store: parts.store,
    agent,
    spool,
    flow: parts.flow,
    onTaken(lines) {
      said = lines.reduce((facts, { message }) => observeTalk(facts, message), said)
    },
    onFacts: () => {},
    onFailure: parts.onError,
  })
  const stats = await stream.finish()
  return { facts: stream.facts(), stats, messages: said.messages }
}

/** Messages that a dead agent had taken up, and whose worker died before it had said so. */
async function takenUp(
  parts: SessionParts,
  { sessionId }: SessionRecord,
  messages: TalkFacts['messages'] = new Map(),
): Promise<string[]> {
  if (messages.size === 0) return []
  const kept = await parts.talk.read(sessionId)
  return kept.messages
    .filter(({ message_id: id, startedBy }) => startedBy === null && messages.has(id))
    .map(({ message_id: id }) => id)
}

/** From an agent's end to the session's next state, and the session's end. */
import type { SessionRestarting, SessionResumed } from '../core/events.ts'
import { HAND_OVER_END, MESSAGE_END, NO_ROOM_END, RESTART_END } from '../core/agent-prompt.ts'
import { MOST_FREE_STEPS, nextStep } from '../core/restart-policy.ts'
import { messageOf } from '../core/errors.ts'
import type { FailureReason } from '../core/state.ts'
import type { OwnEvent } from '../queue/own-event.ts'
import { cancelledEnding, endOf, type Ending } from '../queue/session-end.ts'
import type { AgentRef, Changed, SessionRecord } from '../queue/session-store.ts'
import type { AgentEnded } from './agent-end.ts'
import type { Claim, ClaimedJob, Next, SessionParts } from './claimed-session.ts'
import { withExpectedFiles } from './expected-files.ts'

/** Until another claim tries what this machine lacked. */
export const SHORTAGE_MS = 30_000

/**
 * @param cwd where the agent worked; null where that is not on this pod: then a success of which files are expected is
 * left to a pod that has it
 */
export async function concludeWithFiles(
  parts: SessionParts,
  job: ClaimedJob,
  record: SessionRecord,
  cwd: string | null,
  ended: AgentEnded,
): Promise<Next> {
  if (cwd !== null) {
    const outcome = await withExpectedFiles(job.spec, cwd, ended.outcome)
    return await conclude(parts, job, record, { ...ended, outcome })
  }
  if (ended.outcome.status === 'completed' && job.spec.expectFiles.length > 0) {
    return await followFinished(parts, record, ended, {
      reason: 'worker_lost',
      message: 'The agent had finished. The files that its type expects are looked for where it worked.',
    })
  }
  return await conclude(parts, job, record, ended)
}

/** From an agent's end to the session's next state. */
async function conclude(
  parts: SessionParts,
  job: ClaimedJob,
  record: SessionRecord,
  ended: AgentEnded,
): Promise<Next> {
  const { agent, outcome, events } = ended
  const { store, config } = parts
  const left = leftBehind(ended)
  // What was asked of this agent holds also where it ended by itself in the meantime. A success stands all the same.
  const open = outcome.status !== 'completed'
  const { cancel, restart } = await parts.requests.read(record.sessionId)
  if (open && cancel !== null) {
    const ending = { ...cancelledEnding(cancel), permissionDenials: outcome.permissionDenials }
    return await endSession(parts, record, ending, ended)
  }
  const again = open && restart?.epoch === agent.epoch
  const noRoom = outcome.retry === 'no_room'
  if (again && outcome.retry !== 'hand_over' && !noRoom) return await followAsAsked(parts, record, ended)
  const step = nextStep({
    outcome,
    restarts: record.restarts,
    maxRestarts: job.spec.maxRestarts ?? config.restart.maxRestarts,
    autoRestart: record.request.auto_restart ?? job.spec.autoRestart,
    backoffMs: config.restart.backoffMs,
    freeSteps: record.freeSteps,
    now: parts.clock.now(),
    random: Math.random(),
  })
  const freeSteps = { free_steps: record.freeSteps + 1 }
  const previousEnd = { previous_end: outcome.failureReason ?? '' }
  switch (step.kind) {
    case 'end':
      if (outcome.status === 'completed' && (await isAskedMore(parts, record, ended))) {
        return await followFinished(parts, record, ended, {
          reason: 'message',
          message: 'A message came when the agent had ended.',
        })
      }
      return await endSession(parts, record, outcome, { agent, events })
    case 'hand_over': {
      // The session stays as it was accepted: the next claim resumes it, and no try is used.
      const end = noRoom ? NO_ROOM_END : HAND_OVER_END
      const set = again ? BEGUN_ANEW : { ...freeSteps, previous_end: end }
      const changed = await store.change(agent, {
        ...left,
        to: 'queued',
        over: true,
        set: { ...left.set, ...set },
      })
      if (changed.ok) return noRoom ? { laterMs: SHORTAGE_MS } : 'hand_over'
      return await refused(parts, record, ended, changed.refused)
    }
    case 'again':
    case 'fresh': {
      const restarting: SessionRestarting = {
        reason: outcome.failureReason ?? 'crashed',
        message: outcome.message,
        restarts: step.restarts,
        backoff_ms: step.backoffMs,
        not_before: new Date(parts.clock.now().getTime() + step.backoffMs).toISOString(),
      }
      const changed = await store.change(agent, {
        ...left,
        to: 'restarting',
        over: true,
        set: {
          ...left.set,
          ...previousEnd,
          restarts: step.restarts,
          ...(step.restarts === record.restarts ? freeSteps : {}),
        },
        waitMs: step.backoffMs,
        events: [...left.events, { type: 'drover.session.restarting', payload: restarting }],
      })
      if (!changed.ok) return await refused(parts, record, ended, changed.refused)
      return step.kind === 'fresh' ? 'fresh' : 'resume'
    }
    case 'pause': {
      // The session's timeout goes on after the pause from where it was.
      const pausedMs = record.pausedMs + step.waitMs
      const paused = { until: step.until.toISOString(), message: outcome.message, paused_ms: pausedMs }
      const changed = await store.change(agent, {
        ...left,
        to: 'paused_limit',
        over: true,
        set: { ...left.set, ...previousEnd, paused_ms: pausedMs },
        waitMs: step.waitMs,
        events: [...left.events, { type: 'drover.session.paused_limit', payload: paused }],
      })
      return changed.ok ? 'resume' : await refused(parts, record, ended, changed.refused)
    }
  }
}

/**
 * What is written of an agent that another one follows: messages that its conversation has, and the wait for a person
 * that has ended with it, which the session's timeout does not count.
 */
function leftBehind({ events, talk, waitedMs }: AgentEnded): {
  readonly set: Readonly<Record<string, string | number>>
  readonly talk: AgentEnded['talk']
  readonly events: readonly OwnEvent[]
} {
  if (waitedMs === null) return { set: {}, talk, events }
  const resumed: SessionResumed = { waited_ms: Math.round(waitedMs) }
  return {
    set: { waited_ms: resumed.waited_ms, waiting_since: '' },
    talk,
    events: [{ type: 'drover.session.resumed', payload: resumed }, ...events],
  }
}

/** Its agent has ended by itself, with a success, and a message came before its inbox was closed. */
async function isAskedMore(parts: SessionParts, record: SessionRecord, ended: AgentEnded): Promise<boolean> {
  // Not for ever: an agent that ends before it reads anything would be followed by the next one.
  if (record.freeSteps >= MOST_FREE_STEPS) return false
  const closed = await parts.store.change(ended.agent, {
    close: true,
    talk: ended.talk,
    events: [],
  })
  return !closed.ok && closed.refused === 'waiting'
}

/**
 * The agent was done, and there is more: a message for the next agent, or files to be looked for elsewhere
 * (`session-run.ts`). At once, and costs no try.
 */
async function followFinished(
  parts: SessionParts,
  record: SessionRecord,
  ended: AgentEnded,
  why: Pick<SessionRestarting, 'reason' | 'message'>,
): Promise<Next> {
  const restarting: SessionRestarting = {
    ...why,
    restarts: record.restarts,
    backoff_ms: 0,
    not_before: parts.clock.now().toISOString(),
  }
  const left = leftBehind(ended)
  const changed = await parts.store.change(ended.agent, {
    ...left,
    to: 'restarting',
    over: true,
    set: { ...left.set, previous_end: MESSAGE_END, free_steps: record.freeSteps + 1 },
    waitMs: 0,
    events: [...left.events, { type: 'drover.session.restarting', payload: restarting }],
  })
  return changed.ok ? 'resume' : await refused(parts, record, ended, changed.refused)
}

/** A restart by hand resets the counters. */
const BEGUN_ANEW = {
  restarts: 0,
  free_steps: 0,
  restart_requested: '',
  interrupted_until: '',
  previous_end: RESTART_END,
}

/** The next agent at once. Its event is on the stream since somebody asked for it. */
async function followAsAsked(parts: SessionParts, record: SessionRecord, ended: AgentEnded): Promise<Next> {
  const { agent, outcome } = ended
  const left = leftBehind(ended)
  const changed = await parts.store.change(agent, {
    ...left,
    to: 'restarting',
    over: true,
    set: { ...left.set, ...BEGUN_ANEW },
    waitMs: 0,
  })
  if (!changed.ok) return await refused(parts, record, ended, changed.refused)
  return outcome.retry === 'fresh' ? 'fresh' : 'resume'
}

/** The session does not go on as the outcome would have it: it was cancelled just now, or is somebody else's. */
async function refused(
  parts: SessionParts,
  record: SessionRecord,
  ended: AgentEnded,
  why: Extract<Changed, { ok: false }>['refused'],
): Promise<Next> {
  if (why !== 'cancelled') return await superseded(parts, ended.agent, ended.events)
  const { cancel } = await parts.requests.read(record.sessionId)
  return await endSession(parts, record, cancelledEnding(cancel), ended)
}

/** The epoch is no longer the session's: somebody else goes on with it. The record of this agent is completed. */
async function superseded(parts: SessionParts, agent: AgentRef, events: readonly OwnEvent[]): Promise<Claim> {
  await parts.store.close(agent, events)
  return 'hand_over'
}

/** Puts the end on the stream, and only then lets BullMQ hear of it. */
export async function endSession(
  parts: SessionParts,
  record: SessionRecord,
  ending: Ending,
  last?: { readonly agent: AgentRef; readonly events: readonly OwnEvent[] },
): Promise<Claim> {
  const { store, clock } = parts
  // The totals as the lines made them, the last one's included.
  const now = (await store.read(record.sessionId)) ?? record
  const end = endOf(now, ending, clock.now(), last?.events)
  const who = last?.agent ?? { sessionId: record.sessionId, agentType: record.agentType, epoch: record.epoch }
  // Of one that was made for an agent that never started the hash knows nothing.
  const own = { ...now, worktreePath: now.worktreePath ?? record.worktreePath }
  if (mayHaveWorktree(own)) await parts.tidying.begin(record.sessionId).catch(parts.onError)
  const changed = await store.change(who, { ...end, over: last !== undefined, last: true })
  if (changed.ok) {
    parts.onEnded(record.sessionId, changed.streamId)
    await settleWorktree(parts, own)
    return 'finished'
  }
  return last === undefined ? 'hand_over' : await superseded(parts, last.agent, last.events)
}

function mayHaveWorktree({ request, worktreePath }: SessionRecord): boolean {
  return worktreePath !== null || request.worktree === true
}

/**
 * Keeps or removes the worktree of a session that has ended, and says so (`queue/tidying.ts`). Never before its end is
 * on the stream: until then another pod may have gone on in it. What is left undone here is done by `worktree-keeper.ts`.
 */
export async function settleWorktree(parts: SessionParts, record: SessionRecord): Promise<void> {
  if (!mayHaveWorktree(record)) return
  const { sessionId, request } = record
  const problem = await parts.worktrees.settle(request.workspace_dir, sessionId).then(
    () => null,
    (error: unknown) => {
      parts.onError(error)
      return messageOf(error)
    },
  )
  await parts.tidying.over(sessionId, problem).catch(parts.onError)
}

export function failure(failureReason: FailureReason, message: string): Ending {
  return { status: 'failed', failureReason, message, output: null, permissionDenials: [] }
}

/**
 * One session on this pod: claim → lease → preflight → agents → end.
 *
 * All waiting happens here, inside the BullMQ job: for the lease, for a restart's back-off. What is decided is on
 * the stream before BullMQ hears of it, so that dying at any line leaves a hash from which the next claim goes on.
 */
import { MESSAGE_END, type Conversation } from '../core/agent-prompt.ts'
import { createBell, type Bell } from '../core/bell.ts'
import type { Clock } from '../core/clock.ts'
import type { SessionClaimed } from '../core/events.ts'
import { isDroverError, messageOf } from '../core/errors.ts'
import { isPassingProblem } from '../core/failure.ts'
import { classifyOutcome, type Asked, type Outcome } from '../core/outcome.ts'
import { isEnded, isLive } from '../core/state.ts'
import { unlessAborted } from '../core/unless-aborted.ts'
import { waitedUpTo } from '../core/waited-time.ts'
import type { Lease } from '../queue/lease.ts'
import { cancelledEnding, type Ending } from '../queue/session-end.ts'
import type { SessionRecord } from '../queue/session-store.ts'
import { NO_MESSAGE_FOLLOWED, untilMessage } from './after-interrupt.ts'
import { runAgent } from './agent-run.ts'
import { withExpectedFiles } from './expected-files.ts'
import { concludeWithFiles, endSession, failure, settleWorktree, SHORTAGE_MS } from './conclude.ts'
import type { Claim, ClaimedJob, Next, SessionParts } from './claimed-session.ts'
import { beginConversation } from './conversation.ts'
import { firstWords } from './first-words.ts'
import { startupTimeoutOf } from './launch.ts'
import { afterPredecessor, HELD_ELSEWHERE, isRunElsewhere } from './predecessor.ts'
import { preflight } from './preflight.ts'
import { createPulse, type Pulse } from './pulse.ts'
import { shortageOnDisks } from './room.ts'
import { stopForCancel, stopForRestart, wasCancelled } from './stop.ts'
import { shipperOf } from './transcript-shipper.ts'
import { undelivered } from './undelivered.ts'
import { openWorkplace } from './workplace.ts'
import { missingWorkspace, preflightParts, waitForWorkspace } from './workspace-wait.ts'

/** Until another claim tries what somebody else was in the way of. */
const BUSY_MS = 1000

/** Runs the session of a job to its end, unless it has ended already. */
export async function runSession(parts: SessionParts, job: ClaimedJob): Promise<Claim> {
  const { store, leases, config } = parts
  const record = await store.read(job.sessionId)
  if (record === null) {
    // Its hash has gone a day after its end, and a job of it was still there.
    if ((await store.readEnded(job.sessionId)) !== null) return 'finished'
    // A job without a hash never starts: Redis lost the hash, and the ledger writes it back, or says that it is lost.
    parts.onError(new Error(`session ${job.sessionId} has a job but no record in Redis; nothing was started`))
    return 'no_record'
  }
  if (isEnded(record.state)) {
    // Killed while it waited, maybe: nobody else sees to its worktree at once.
    await settleWorktree(parts, record)
    return 'finished'
  }
  // A job in another type's queue is nobody's: the session has its own.
  if (record.agentType !== job.spec.name) return 'finished'
  // Of a type with one slot the wait for the lease is that wait, and nobody is kept from it.
  if (job.spec.maxInstances > 1 && (await isRunElsewhere(parts, record))) return HELD_ELSEWHERE
  // Before it is claimed: a pod that cannot run it takes no lease, and says so once.
  if (!isLive(record.state) && record.cancel === null && remainingOf(record, parts.clock) > 0) {
    const missing = await missingWorkspace(parts, job.spec, record)
    if (missing !== null) return await waitForWorkspace(parts, record, missing)
  }

  const stop = new AbortController()
  const forward = (): void => stop.abort(job.stop.reason)
  job.stop.addEventListener('abort', forward, { once: true })
  if (job.stop.aborted) forward()
  // Of the present agent alone: the session goes on with the next one.
  let again = new AbortController()
  const bell = createBell()
  let lease: Lease | null = null
  const session = { sessionId: record.sessionId, agentType: record.agentType }
  const pulse = createPulse({
    store,
    times: config.lease,
    clock: parts.clock,
    session,
    extendJobLock: job.extendLock,
    requests: parts.requests,
    onCancel(cancel) {
      // Without the lease there is no agent here; where there may be one elsewhere, it is closed with the lease.
      if (lease !== null) stop.abort(stopForCancel(cancel))
    },
    onRestart: (restart) => again.abort(stopForRestart(restart)),
    onEnded: () => stop.abort('cancel' satisfies Asked),
    onLeaseLost: () => stop.abort('lease_lost' satisfies Asked),
    onError: parts.onError,
  })
  const unhook = parts.doorbell.on(record.sessionId, () => {
    bell.ring()
    pulse.look()
  })
  try {
    const claimed: SessionClaimed = { pod_id: config.podId }
    const waiting = AbortSignal.any([stop.signal, job.closing])
    const noted = store.change(session, { events: [{ type: 'drover.session.claimed', payload: claimed }] })
    // Redis may have lost the session, and be waited for: a pod that stops does not wait along.
    await unlessAborted(noted, waiting)
    if (waiting.aborted) noted.catch(parts.onError)
    lease = await leases.acquire(record.agentType, job.spec.maxInstances, waiting)
    if (lease === null) return wasCancelled(stop.signal) ? 'finished' : 'hand_over'
    pulse.holdLease(lease)
    const stopOfNext = (): AbortSignal => {
      again = new AbortController()
      return AbortSignal.any([stop.signal, again.signal])
    }
    return await runAgents(parts, job, { lease, pulse, bell, stop: stop.signal, stopOfNext })
  } finally {
    job.stop.removeEventListener('abort', forward)
    unhook()
    parts.launcher.release(record.sessionId)
    await pulse.stop()
    await lease?.release().catch(parts.onError)
  }
}

interface Held {
  readonly lease: Lease
  readonly pulse: Pulse
  /** Rings when something may have been asked of the session. */
  readonly bell: Bell
  readonly stop: AbortSignal
  /** What stops the next agent: `stop`, or a restart that means this one. */
  readonly stopOfNext: () => AbortSignal
}

/** One agent after the other, until the session has ended or must be given away. */
async function runAgents(parts: SessionParts, job: ClaimedJob, held: Held): Promise<Claim> {
  let next = 'resume' as Next
  while (next === 'resume' || next === 'fresh') {
    // Read again for each agent, and only now that the lease is held: nobody else changes it from here on.
    const record = await parts.store.read(job.sessionId)
    if (record === null) return 'no_record'
    if (isEnded(record.state)) {
      // Not by this pod: a kill while it waited.
      parts.onEnded(record.sessionId, record.lastId)
      await settleWorktree(parts, record)
      return 'finished'
    }
    next = isLive(record.state)
      ? await afterPredecessor(parts, job, held.stop, record)
      : await nextAgent(parts, job, held, record, next === 'fresh')
  }
  return next
}

async function nextAgent(
  parts: SessionParts,
  job: ClaimedJob,
  held: Held,
  found: SessionRecord,
  fresh: boolean,
): Promise<Next> {
  const { spec } = job
  const { config, clock } = parts
  if (found.cancel !== null) return await endSession(parts, found, cancelledEnding(found.cancel))
  const remainingMs = remainingOf(found, clock)
  if (remainingMs <= 0) {
    return await endSession(
      parts,
      found,
      failure('timeout', `It took longer than ${found.timeoutSeconds} s.`),
    )
  }
  const missing = await missingWorkspace(parts, spec, found)
  if (missing !== null) return await waitForWorkspace(parts, found, missing)
  const check = await preflight(preflightParts(parts), spec, found)
  if (!check.ok) {
    const problem = notNow(check.problem) ?? failure('invalid_config', check.problem)
    return await giveUp(parts, found, problem)
  }
  const opened = await launchable(openWorkplace(parts.worktrees, found, check))
  if ('problem' in opened) return await giveUp(parts, found, opened.problem)
  const workplace = opened.value
  // From here on it is settled at the end, whether an agent starts or not.
  const record = { ...found, worktreePath: workplace.worktree?.path ?? null }

  // Before it is paid for: where it works nothing can be written. What the pod itself needs room for it looks at always.
  const short = await shortageOnDisks(config.worker.minFreeDiskMb, [workplace.cwd])
  if (short !== null) return await giveUp(parts, record, { message: `${short}.`, laterMs: SHORTAGE_MS })
  const settled = await launchable(parts.launcher.settle({ record, spec }))
  if ('problem' in settled) return await giveUp(parts, record, settled.problem)
  const brought = await unlessShort(beginConversation(parts, record, settled.value, fresh))
  if ('problem' in brought) return await giveUp(parts, record, brought.problem)
  const begun = brought.value
  if (begun.kind === 'elsewhere') return await waitForWorkspace(parts, record, begun.problem)
  const { conversation } = begun
  if (record.interruptedUntil > 0) {
    const stopped = AbortSignal.any([held.stop, job.closing])
    const wait = { requests: parts.requests, clock, renewMs: config.lease.renewMs }
    const awaited = await untilMessage(wait, record, held.bell, stopped)
    if (awaited === 'too_late') return await endSession(parts, record, NO_MESSAGE_FOLLOWED)
    if (awaited === 'look') return isGivenAway(job, held) ? 'hand_over' : fresh ? 'fresh' : 'resume'
  }
  const messages = await undelivered(parts, record, settled.value(record.sessionId))
  const done = doneBefore(record, messages)
  if (done !== null)
    return await endSession(parts, record, await withExpectedFiles(spec, workplace.cwd, done))
  const first = isFirstWord(record, conversation) ? (messages[0] ?? null) : null
  const words = firstWords(record, conversation, first)
  if (words.isRedacted) {
    const { sessionId } = record
    parts.onError(
      new Error(
        `What the agent of ${sessionId} is told has lost its secrets with Redis: it gets placeholders.`,
      ),
    )
  }
  const planned = await launchable(parts.launcher.plan({ record, spec, conversation, cwd: workplace.cwd }))
  if ('problem' in planned) return await giveUp(parts, record, planned.problem)
  const plan = planned.value
  const shipper = shipperOf(parts, record, settled.value(record.sessionId))
  const running = runAgent(
    {
      store: parts.store,
      guard: parts.guard,
      pulse: held.pulse,
      flow: parts.flow,
      talk: parts.talk,
      clock,
    },
    {
      ...plan,
      async prepare(agent) {
        shipper.start(agent)
        return await plan.prepare(agent)
      },
      record,
      waitedMs: Math.round(waitedUpTo(record, clock.now().getTime())),
      spec,
      lease: held.lease,
      podId: config.podId,
      workplace,
      resumed: conversation === 'resumed' || conversation === 'forked',
      words,
      promptMessageId: first?.message_id ?? null,
      patience: {
        permissionMs: (spec.permissionWaitSeconds ?? config.session.permissionWaitMs / 1000) * 1000,
        messageMs: config.session.messageWaitMs,
      },
      startupTimeoutMs: startupTimeoutOf(spec, config.session),
      killGraceMs: config.session.killGraceMs,
      liveness: {
        stallTimeoutMs: (spec.stallTimeoutSeconds ?? config.liveness.stallTimeoutMs / 1000) * 1000,
        idleTimeoutMs: (spec.idleTimeoutSeconds ?? config.liveness.idleTimeoutMs / 1000) * 1000,
        toolTimeoutMs: config.liveness.toolTimeoutMs,
      },
      endGraceMs: config.session.endGraceMs,
      minFreeDiskMb: config.worker.minFreeDiskMb,
      remainingMs,
      stop: held.stopOfNext(),
    },
  )
  // Then the process is gone, and nobody may go on with the session yet: its conversation is whole.
  await Promise.allSettled([running])
  await shipper.finish()
  const ended = await running
  if ('agent' in ended) return await concludeWithFiles(parts, job, record, workplace.cwd, ended)
  switch (ended.refused) {
    case 'early':
      await untilGate(parts, job, held, Math.min(ended.waitMs, remainingMs))
      if (isGivenAway(job, held)) return 'hand_over'
      return fresh ? 'fresh' : 'resume'
    case 'cancelled':
      return await endSession(
        parts,
        record,
        cancelledEnding((await parts.requests.read(job.sessionId)).cancel),
      )
    case 'lease':
      return 'hand_over'
    case 'ended':
      await settleWorktree(parts, record)
      return 'finished'
    case 'missing':
      return 'finished'
  }
}

/** After a cancel it is not: what its record says is looked at again. */
function isGivenAway(job: ClaimedJob, held: Held): boolean {
  return (held.stop.aborted && !wasCancelled(held.stop)) || job.closing.aborted
}

/** A message is what the agent is told first: what came before is done, or was stopped by a person. */
function isFirstWord({ interruptedUntil, previousEnd }: SessionRecord, conversation: Conversation): boolean {
  return conversation === 'resumed' && (interruptedUntil > 0 || previousEnd === MESSAGE_END)
}

/**
 * The outcome of a session that is done after all: it was to go on for a message, and its conversation has that (the
 * worker that saw it done died before it could write that down), or only its files were to be looked for. Null where an
 * agent is needed.
 */
function doneBefore({ previousEnd, facts }: SessionRecord, messages: readonly unknown[]): Outcome | null {
  if (previousEnd !== MESSAGE_END || facts === null || messages.length > 0) return null
  return classifyOutcome({ facts, exit: null, asked: null, stderrTail: '', spawnError: null })
}

/** Waits before the next agent. A restart by hand opens the gate; it rings, or is seen with the next beat. */
async function untilGate(parts: SessionParts, job: ClaimedJob, held: Held, waitMs: number): Promise<void> {
  const { clock, config, requests } = parts
  const signal = AbortSignal.any([held.stop, job.closing])
  const until = clock.monotonic() + waitMs
  for (;;) {
    const leftMs = until - clock.monotonic()
    if (leftMs <= 0 || signal.aborted) return
    await held.bell.wait(Math.min(leftMs, config.lease.renewMs), signal)
    const now = await requests.read(job.sessionId)
    if (now.ended || now.notBefore === 0) return
  }
}

/** Of the session's whole time. Pauses for usage limits and waits for people are not its own and do not count. */
function remainingOf(record: SessionRecord, clock: Clock): number {
  const started = record.startedAt === null ? clock.now().getTime() : Date.parse(record.startedAt)
  const now = clock.now().getTime()
  return started + record.timeoutSeconds * 1000 + record.pausedMs + waitedUpTo(record, now) - now
}

/** Nothing is wrong with the session: its job is looked at again. */
interface NotNow {
  readonly message: string
  readonly laterMs: number
}

/**
 * What cannot be prepared ends the session: a wrong spec, or a machine that cannot. What passes by itself ends nothing: a
 * pod whose disk is full would fail all that waits, one after the other.
 */
async function launchable<T>(
  step: Promise<T>,
): Promise<{ readonly value: T } | { readonly problem: Ending | NotNow }> {
  try {
    return { value: await step }
  } catch (error) {
    const message = messageOf(error)
    const isBusy = isDroverError(error) && error.code === 'worktree_refused'
    if (isBusy) return { problem: { message, laterMs: BUSY_MS } }
    const problem = notNow(message)
    if (problem !== null) return { problem }
    return { problem: failure(isDroverError(error) ? 'invalid_config' : 'spawn_failed', message) }
  }
}

/** The same of a step whose other problems are not the session's: its claim throws them. */
async function unlessShort<T>(
  step: Promise<T>,
): Promise<{ readonly value: T } | { readonly problem: NotNow }> {
  try {
    return { value: await step }
  } catch (error) {
    const problem = notNow(messageOf(error))
    if (problem === null) throw error
    return { problem }
  }
}

function notNow(message: string): NotNow | null {
  return isPassingProblem(message) ? { message, laterMs: SHORTAGE_MS } : null
}

async function giveUp(parts: SessionParts, record: SessionRecord, problem: Ending | NotNow): Promise<Claim> {
  if (!('laterMs' in problem)) return await endSession(parts, record, problem)
  const { message, laterMs } = problem
  parts.onError(new Error(`Session ${record.sessionId} cannot start here now. ${message}`))
  return { laterMs }
}

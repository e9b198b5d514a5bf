/**
 * An agent whose process runs: its lines go onto the stream, it is watched and talked to, and ended when its time is
 * over, when it stalls, when it lacks what it may not lack, or when it is told to.
 */
import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import type { AgentHealth, AgentStalled, AgentStarted } from '../core/events.ts'
import { isSettled, type StreamFacts } from '../core/outcome.ts'
import type { Redactor } from '../core/redact.ts'
import type { GuardedAgent } from '../guard/client.ts'
import { SPOOL_FILE, STDERR_FILE } from '../guard/protocol.ts'
import type { OwnEvent } from '../queue/own-event.ts'
import type { AgentRef, SessionStore } from '../queue/session-store.ts'
import type { TalkStore } from '../queue/talk.ts'
import { describeEnd, type AgentEnded } from './agent-end.ts'
import { rightsOf, type AgentPlan } from './agent-plan.ts'
import { createAgentStream } from './agent-stream.ts'
import { watchAgent } from './agent-watch.ts'
import { createCorrespondence } from './correspondence.ts'
import type { Flow } from './flow.ts'
import { createMcpWatch } from './mcp-watch.ts'
import type { Pulse } from './pulse.ts'
import { shortageOnDisks } from './room.ts'
import { readStderrTail } from './stderr-tail.ts'
import { createStopper, stopOf } from './stop.ts'
import { createTimers } from './timers.ts'

export interface SuperviseParts {
  readonly store: SessionStore
  readonly pulse: Pulse
  readonly flow: Flow
  readonly talk: TalkStore
  readonly clock: Clock
}

/** An agent with its process. */
export interface LiveAgent {
  readonly agent: AgentRef
  readonly guarded: GuardedAgent
  /** Its spool and its standard error are there. */
  readonly dir: string
  readonly redactor: Redactor
}

/**
 * Resolves when the process is gone and all that it printed is on the stream. Throws what Redis refused: the process was
 * killed for it, because what it went on to do could not be recorded.
 */
export async function superviseAgent(
  parts: SuperviseParts,
  plan: AgentPlan,
  { agent, guarded, dir, redactor }: LiveAgent,
): Promise<AgentEnded> {
  const { store, clock } = parts
  const bornAt = clock.now()
  const timers = createTimers()
  const stopper = createStopper(guarded, plan.killGraceMs)
  let failure: unknown = null
  const onFailure = (error: unknown): void => {
    failure ??= error
    guarded.kill(0)
  }

  // A message that was queued makes one more turn after the input was closed: that one is waited for.
  const endIfSettled = (): void => {
    if (isSettled(stream.facts())) stopper.stop({ asked: 'end' })
    else timers.after(plan.endGraceMs, endIfSettled)
  }
  let inputClosed = false
  const onDone = (): void => {
    inputClosed = true
    guarded.closeInput()
    timers.after(plan.endGraceMs, endIfSettled)
  }
  const correspondence = createCorrespondence(
    {
      store,
      talk: parts.talk,
      clock,
      agent,
      guarded,
      given: plan.promptMessageId === null ? [] : [plan.promptMessageId],
      waitedMs: plan.waitedMs,
      patience: plan.patience,
      silenceMs: plan.endGraceMs,
      onFailure,
    },
    onDone,
  )
  const mcpWatch = createMcpWatch({
    store,
    agent,
    required: plan.requiredServers,
    onLacking: () => stopper.stop({ asked: 'mcp_failed' }),
    onFailure,
  })
  const watch = watchAgent(guarded, {
    limits: plan.liveness,
    clock,
    isBehind: () => stream.isBehind(),
    isWaiting: () => correspondence.isWaiting(),
    onStalled(reason, health) {
      if (stopper.asked() !== null) return
      store.change(agent, { events: stallEvents(reason, health) }).catch(onFailure)
      stopper.stop({ asked: 'stalled' })
    },
  })
  parts.pulse.watch(
    guarded,
    agent.epoch,
    () => ({ ...watch.beat(), ...rightsOf(plan) }),
    (said) => correspondence.hear(said),
  )

  const startupIsOver = timers.after(plan.startupTimeoutMs, () => stopper.stop({ asked: 'startup_timeout' }))
  // Waiting for people is not the session's time.
  const outOfTime = (): void => {
    const spentMs = clock.now().getTime() - bornAt.getTime()
    const leftMs = plan.remainingMs + correspondence.waitedMs() - plan.waitedMs - spentMs
    if (leftMs > 0) timers.after(leftMs, outOfTime)
    else stopper.stop({ asked: 'timeout' })
  }
  timers.after(plan.remainingMs, outOfTime)
  const onStop = (): void => stopper.stop(stopOf(plan.stop))
  plan.stop.addEventListener('abort', onStop, { once: true })
  if (plan.stop.aborted) onStop()

  const confirmStart = async (facts: StreamFacts): Promise<void> => {
    const startedAt = bornAt.toISOString()
    const started: AgentStarted = {
      pid: guarded.pid,
      startup_ms: clock.now().getTime() - bornAt.getTime(),
      started_at: startedAt,
      model: facts.model,
      claude_code_version: facts.version,
    }
    await store.change(agent, {
      from: ['starting'],
      to: 'running',
      set: { pid: guarded.pid, started_at: plan.record.startedAt ?? startedAt },
      events: [{ type: 'drover.agent.started', payload: started }],
    })
    correspondence.begin()
  }
  let confirmed = false
  const stream = createAgentStream({
    store,
    agent,
    spool: join(dir, SPOOL_FILE),
    flow: parts.flow,
    redactor,
    onTaken: (lines) => correspondence.observe(lines),
    onFacts(facts) {
      watch.hear(facts)
      if (!inputClosed) mcpWatch.hear(facts)
      if (facts.sawInit && !confirmed && stopper.asked() !== 'mcp_failed') {
        confirmed = true
        startupIsOver()
        confirmStart(facts).catch(onFailure)
      }
      correspondence.settle(facts, isSettled(facts))
    },
    onFailure,
  })

  const exit = await guarded.exited
  watch.stop()
  timers.stop()
  plan.stop.removeEventListener('abort', onStop)
  // Before others take or free it.
  const diskShortage = await shortageOnDisks(plan.minFreeDiskMb, [dir, plan.workplace.cwd])
  const drained = stream.finish()
  // Whatever becomes of it, nobody speaks with this agent any more.
  await Promise.allSettled([drained])
  const lastSaid = await correspondence.finish()
  if (failure !== null) throw failure
  return describeEnd({
    agent,
    pid: guarded.pid,
    exit,
    asked: stopper.asked(),
    how: stopper.how(),
    facts: stream.facts(),
    spool: await drained,
    diskShortage,
    stderrTail: await readStderrTail(join(dir, STDERR_FILE), redactor),
    lastSaid,
  })
}

function stallEvents(reason: string, health: AgentHealth): OwnEvent[] {
  const stalled: AgentStalled = { reason }
  return [
    { type: 'drover.agent.health', payload: health },
    { type: 'drover.agent.stalled', payload: stalled },
  ]
}

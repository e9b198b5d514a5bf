/**
 * One agent: from its epoch to the moment its process is gone, its spool drained and its end known.
 *
 * When the worker dies in between: before `start` nothing has begun. After it the session is `starting` with an
 * epoch that no other agent has, the guard ends the process, and whoever takes the job next closes this agent and
 * goes on.
 */
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { AgentSpec } from '../config/agent-spec.ts'
import type { Clock } from '../core/clock.ts'
import type { Actor } from '../core/envelope.ts'
import { messageOf } from '../core/errors.ts'
import type {
  AgentHealth,
  AgentKilled,
  AgentSpawned,
  AgentStalled,
  AgentStarted,
  SessionResumed,
} from '../core/events.ts'
import { agentIdPrefix, newId } from '../core/ids.ts'
import type { LivenessLimits } from '../core/liveness.ts'
import type { Redactor } from '../core/redact.ts'
import { isSettled, type Asked, type StreamFacts } from '../core/outcome.ts'
import { GuardLost, type Guard, type GuardedAgent } from '../guard/client.ts'
import { SPOOL_FILE, STDERR_FILE } from '../guard/protocol.ts'
import type { Lease } from '../queue/lease.ts'
import type { OwnEvent } from '../queue/own-event.ts'
import type { AgentRef, SessionRecord, SessionStore, Started } from '../queue/session-store.ts'
import type { TalkStore } from '../queue/talk.ts'
import { userMessage } from '../session/message.ts'
import { describeEnd, notSpawned, type AgentEnded } from './agent-end.ts'
import { createAgentStream } from './agent-stream.ts'
import { watchAgent } from './agent-watch.ts'
import { createCorrespondence, type Patience } from './correspondence.ts'
import type { Flow } from './flow.ts'
import { createMcpWatch } from './mcp-watch.ts'
import type { Pulse } from './pulse.ts'
import { readStderrTail } from './stderr-tail.ts'
import { stopOf } from './stop.ts'
import type { Workplace } from './workplace.ts'

const LONGEST_TIMER_MS = 2 ** 31 - 1

export interface AgentParts {
  readonly store: SessionStore
  readonly guard: () => Promise<Guard>
  readonly pulse: Pulse
  readonly flow: Flow
  readonly talk: TalkStore
  readonly clock: Clock
}

/** What to run, decided before there is an agent. */
export interface AgentPlan {
  readonly record: SessionRecord
  readonly spec: AgentSpec
  readonly lease: Lease
  readonly podId: string
  readonly file: string
  readonly args: readonly string[]
  /** Of the token that its environment has. */
  readonly tokenHash: string
  readonly workplace: Workplace
  readonly resumed: boolean
  readonly prompt: string
  /** The message that the prompt is; null where it is the session's own, or Drover's words. */
  readonly promptMessageId: string | null
  readonly patience: Patience
  readonly startupTimeoutMs: number
  readonly killGraceMs: number
  readonly liveness: LivenessLimits
  /** A CLI that stays after its last result and a closed input is ended after this. */
  readonly endGraceMs: number
  /** Waits for people before it, in milliseconds. A wait that went on until now, without an agent, is over with it. */
  readonly waitedMs: number
  /** What the session may still take as a whole. */
  readonly remainingMs: number
  /** MCP servers without which the agent is ended, by name. */
  readonly requiredServers: readonly string[]
  /** Aborts when the agent is to end, with a `Stop` or a plain `Asked` as its reason. */
  readonly stop: AbortSignal
  /** Makes the agent's directory and environment, now that it has an id and an epoch. */
  readonly prepare: (agent: AgentRef) => Promise<{
    readonly dir: string
    readonly env: Readonly<Record<string, string>>
    /** Takes the agent's secrets out of what it prints. */
    readonly redactor: Redactor
  }>
}

/** What the hash still says of the agent before. */
const NO_BEAT = { health: '', process_state: '', cpu_percent: '', memory_mb: '', beat_at: '' }

/**
 * What the hash alone has of an agent's rights. With each beat again: written back from the ledger, after Redis lost it,
 * the hash is without them, and an agent whose lease was not lost lives on.
 */
function rightsOf({ lease, tokenHash, spec }: AgentPlan): Readonly<Record<string, string>> {
  return {
    lease_key: lease.key,
    lease_token: lease.token,
    token_hash: tokenHash,
    tools: spec.orchestratorTools.join(','),
  }
}

/** Runs one agent to its end; or answers why it was not started. Throws when Redis refuses to record it. */
export async function runAgent(
  parts: AgentParts,
  plan: AgentPlan,
): Promise<AgentEnded | Exclude<Started, { ok: true }>> {
  const { record, lease, workplace } = plan
  // Without a guard nothing is begun: the next one is waited for.
  const { tier } = await parts.guard()
  const session = { sessionId: record.sessionId, agentType: record.agentType }
  const spawned: AgentSpawned = {
    pod_id: plan.podId,
    command: [plan.file, ...plan.args],
    cwd: workplace.cwd,
    workspace_id: workplace.workspaceId,
    host: hostname(),
    ...(workplace.worktree === null
      ? {}
      : { worktree_path: workplace.worktree.path, worktree_branch: workplace.worktree.branch }),
    tier,
    model: plan.spec.model,
    retry_count: record.restarts,
    resumed: plan.resumed,
    prompt: plan.prompt,
  }
  const resumed: SessionResumed = { waited_ms: plan.waitedMs }
  const started = await parts.store.start(session, {
    leaseKey: lease.key,
    token: lease.token,
    agentIdPrefix: agentIdPrefix(record.agentType, parts.clock.now()),
    set: {
      pod_id: plan.podId,
      workspace_id: workplace.workspaceId,
      worktree_path: workplace.worktree?.path ?? '',
      pid: '',
      facts: '',
      ...rightsOf(plan),
      interrupted_until: '',
      waited_ms: plan.waitedMs,
      waiting_since: '',
      ...NO_BEAT,
    },
    epoch: record.epoch,
    restarts: record.restarts,
    events: [
      { type: 'drover.agent.spawned', payload: spawned },
      ...(record.waitingSince > 0 ? [{ type: 'drover.session.resumed', payload: resumed } as const] : []),
    ],
  })
  if (!started.ok) return started
  return await liveAgent(parts, plan, { ...session, agentId: started.agentId, epoch: started.epoch })
}

async function liveAgent(parts: AgentParts, plan: AgentPlan, agent: AgentRef): Promise<AgentEnded> {
  let guarded: GuardedAgent
  let prepared: Awaited<ReturnType<AgentPlan['prepare']>>
  try {
    prepared = await plan.prepare(agent)
    const guard = await parts.guard()
    guarded = await guard.start({
      agentId: agent.agentId,
      sessionId: agent.sessionId,
      file: plan.file,
      args: plan.args,
      cwd: plan.workplace.cwd,
      env: prepared.env,
      dir: prepared.dir,
      deadline: parts.pulse.trustedUntil(),
      input: userMessage(plan.prompt, plan.promptMessageId ?? newId()),
    })
  } catch (error) {
    return notSpawned(agent, messageOf(error), error instanceof GuardLost)
  }
  try {
    return await supervise(parts, plan, agent, guarded, prepared)
  } finally {
    guarded.kill(0)
    parts.pulse.unwatch()
  }
}

async function supervise(
  parts: AgentParts,
  plan: AgentPlan,
  agent: AgentRef,
  guarded: GuardedAgent,
  { dir, redactor }: { readonly dir: string; readonly redactor: Redactor },
): Promise<AgentEnded> {
  const bornAt = parts.clock.now()
  const timers = new Set<NodeJS.Timeout>()
  let asked: Asked = null
  let confirmed = false
  let ending = false

  let how: Partial<AgentKilled> = {}

  const end = (why: Asked, graceMs: number, actor?: Actor): void => {
    if (asked === null) how = { grace_seconds: graceMs / 1000, ...(actor === undefined ? {} : { actor }) }
    asked ??= why
    guarded.kill(graceMs)
  }
  const after = (ms: number, action: () => void): NodeJS.Timeout => {
    // A timer holds 24.8 days at most.
    const step = Math.min(ms, LONGEST_TIMER_MS)
    const timer = setTimeout(() => (step < ms ? void after(ms - step, action) : action()), step)
    timers.add(timer)
    return timer
  }
  const stopped = (): void => {
    const stop = stopOf(plan.stop)
    end(stop.asked, stop.graceMs ?? plan.killGraceMs, stop.actor)
  }

  // A refusal of Redis ends the agent too: what it does could not be recorded.
  let failure: unknown = null
  const failed = (error: unknown): void => {
    failure ??= error
    guarded.kill(0)
  }
  const onFacts = (facts: StreamFacts): void => {
    watch.hear(facts)
    if (!ending) servers.hear(facts)
    if (facts.sawInit && !confirmed && asked !== 'mcp_failed') {
      confirmed = true
      clearTimeout(startup)
      confirmStart(parts, plan, agent, guarded, facts, bornAt)
        .then(() => correspondence.begin())
        .catch(failed)
    }
    correspondence.settle(facts, isSettled(facts))
  }
  const onDone = (): void => {
    ending = true
    guarded.closeInput()
    after(plan.endGraceMs, endIfSettled)
  }
  const correspondence = createCorrespondence(
    {
      store: parts.store,
      talk: parts.talk,
      clock: parts.clock,
      agent,
      guarded,
      given: plan.promptMessageId === null ? [] : [plan.promptMessageId],
      waitedMs: plan.waitedMs,
      patience: plan.patience,
      silenceMs: plan.endGraceMs,
      onFailure: failed,
    },
    onDone,
  )

  const servers = createMcpWatch({
    store: parts.store,
    agent,
    required: plan.requiredServers,
    onLacking: () => end('mcp_failed', plan.killGraceMs),
    onFailure: failed,
  })

  // A message that was queued makes one more turn after the input was closed: that one is waited for.
  const endIfSettled = (): void => {
    if (isSettled(stream.facts())) end('end', plan.killGraceMs)
    else after(plan.endGraceMs, endIfSettled)
  }
  const onStalled = (reason: string, health: AgentHealth): void => {
    if (asked !== null) return
    const stalled: AgentStalled = { reason }
    const events: OwnEvent[] = [
      { type: 'drover.agent.health', payload: health },
      { type: 'drover.agent.stalled', payload: stalled },
    ]
    parts.store.change(agent, { events }).catch(failed)
    end('stalled', plan.killGraceMs)
  }
  const watch = watchAgent(guarded, {
    limits: plan.liveness,
    clock: parts.clock,
    isBehind: () => stream.isBehind(),
    isWaiting: () => correspondence.isWaiting(),
    onStalled,
  })
  const beat = (): Readonly<Record<string, string | number>> => ({ ...watch.beat(), ...rightsOf(plan) })
  parts.pulse.watch(guarded, agent.epoch, beat, (said) => correspondence.hear(said))
  const startup = after(plan.startupTimeoutMs, () => end('startup_timeout', plan.killGraceMs))
  // Waiting for people is not the session's time.
  const outOfTime = (): void => {
    const spentMs = parts.clock.now().getTime() - bornAt.getTime()
    const leftMs = plan.remainingMs + correspondence.waitedMs() - plan.waitedMs - spentMs
    if (leftMs > 0) after(leftMs, outOfTime)
    else end('timeout', plan.killGraceMs)
  }
  after(plan.remainingMs, outOfTime)
  plan.stop.addEventListener('abort', stopped, { once: true })
  if (plan.stop.aborted) stopped()
  const stream = createAgentStream({
    store: parts.store,
    agent,
    spool: join(dir, SPOOL_FILE),
    flow: parts.flow,
    redactor,
    onTaken: (lines) => correspondence.observe(lines),
    onFacts,
    onFailure: failed,
  })

  const exit = await guarded.exited
  watch.stop()
  for (const timer of timers) clearTimeout(timer)
  plan.stop.removeEventListener('abort', stopped)
  const spool = await stream.finish()
  const lastSaid = await correspondence.finish()
  if (failure !== null) throw failure
  return describeEnd(
    agent,
    guarded.pid,
    exit,
    asked,
    how,
    stream.facts(),
    spool,
    await readStderrTail(join(dir, STDERR_FILE), redactor),
    lastSaid,
  )
}

async function confirmStart(
  parts: AgentParts,
  plan: AgentPlan,
  agent: AgentRef,
  guarded: GuardedAgent,
  facts: StreamFacts,
  bornAt: Date,
): Promise<void> {
  const startedAt = bornAt.toISOString()
  const started: AgentStarted = {
    pid: guarded.pid,
    startup_ms: parts.clock.now().getTime() - bornAt.getTime(),
    started_at: startedAt,
    model: facts.model,
    claude_code_version: facts.version,
  }
  await parts.store.change(agent, {
    from: ['starting'],
    to: 'running',
    set: { pid: guarded.pid, started_at: plan.record.startedAt ?? startedAt },
    events: [{ type: 'drover.agent.started', payload: started }],
  })
}

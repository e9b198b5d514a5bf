/** Why an agent is to end, and how: the reason with which the signals abort that end agents. */
import type { Actor } from '../core/envelope.ts'
import type { AgentKilled } from '../core/events.ts'
import type { Asked } from '../core/outcome.ts'
import type { GuardedAgent } from '../guard/client.ts'
import type { CancelRequest, RestartRequest } from '../queue/session-record.ts'

export interface Stop {
  readonly asked: Exclude<Asked, null>
  /** Between SIGTERM and SIGKILL; without it as configured, 0: SIGKILL at once. */
  readonly graceMs?: number
  /** Who wants it, where somebody does. */
  readonly actor?: Actor
}

/** The reason of an aborted signal; a plain `Asked` says no more than itself. */
export function stopOf(signal: AbortSignal): Stop {
  const reason = signal.reason as Stop | Stop['asked']
  return typeof reason === 'string' ? { asked: reason } : reason
}

/** The stop that a kill asks for, with its grace and who asked. */
export function stopForCancel({ actor, force, grace_seconds }: CancelRequest): Stop {
  if (force) return { asked: 'cancel', graceMs: 0, actor }
  return { asked: 'cancel', actor, ...(grace_seconds === null ? {} : { graceMs: grace_seconds * 1000 }) }
}

export function stopForRestart({ actor }: RestartRequest): Stop {
  return { asked: 'restart', actor }
}

/** Did somebody end the session, rather than the pod or the lease? */
export function wasCancelled(stop: AbortSignal): boolean {
  return stop.aborted && stopOf(stop).asked === 'cancel'
}

/** Ends one agent. The first reason counts; each later one ends it too, sooner where its grace is shorter. */
export interface Stopper {
  stop(stop: Stop): void
  /** What counts; null while it is not to end. */
  asked(): Asked
  /** How the reason that counts ends it, for the agent's `killed` event. */
  how(): Pick<AgentKilled, 'grace_seconds' | 'actor'>
}

/** @param killGraceMs where a stop does not say its own */
export function createStopper(agent: Pick<GuardedAgent, 'kill'>, killGraceMs: number): Stopper {
  let asked: Asked = null
  let how: Pick<AgentKilled, 'grace_seconds' | 'actor'> = {}

  return {
    stop({ asked: why, graceMs = killGraceMs, actor }) {
      if (asked === null) how = { grace_seconds: graceMs / 1000, ...(actor === undefined ? {} : { actor }) }
      asked ??= why
      agent.kill(graceMs)
    },
    asked: () => asked,
    how: () => how,
  }
}

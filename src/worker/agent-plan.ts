/** What an agent is run with. */
import type { AgentSpec } from '../config/agent-spec.ts'
import type { LivenessLimits } from '../core/liveness.ts'
import type { Redactor } from '../core/redact.ts'
import type { Lease } from '../queue/lease.ts'
import type { AgentRef, SessionRecord } from '../queue/session-store.ts'
import type { Patience } from './correspondence.ts'
import type { FirstWords } from './first-words.ts'
import type { Workplace } from './workplace.ts'

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
  readonly words: FirstWords
  /** The message that the prompt is; null where it is the session's own, or Drover's words. */
  readonly promptMessageId: string | null
  readonly patience: Patience
  readonly startupTimeoutMs: number
  readonly killGraceMs: number
  readonly liveness: LivenessLimits
  /** A CLI that stays after its last result and a closed input is ended after this. */
  readonly endGraceMs: number
  /** Where less is free when it fails, that is why; 0: nobody looks. */
  readonly minFreeDiskMb: number
  /** Waits for people before it, in milliseconds. A wait that went on until now, without an agent, is over with it. */
  readonly waitedMs: number
  /** What the session may still take as a whole. */
  readonly remainingMs: number
  /** MCP servers without which the agent is ended, by name. */
  readonly requiredServers: readonly string[]
  /** Aborts when the agent is to end, with a `Stop` or a plain `Asked` as its reason. */
  readonly stop: AbortSignal
  /** Makes the agent's directory and environment, now that it has an id and an epoch. */
  readonly prepare: (agent: AgentRef) => Promise<PreparedAgent>
}

/** What the process of an agent needs. */
export interface PreparedAgent {
  readonly dir: string
  readonly env: Readonly<Record<string, string>>
  /** Takes the agent's secrets out of what it prints. */
  readonly redactor: Redactor
}

/**
 * What the hash alone has of an agent's rights. With each beat again: written back from the ledger, after Redis lost it,
 * the hash is without them, and an agent whose lease was not lost lives on.
 */
export function rightsOf({ lease, tokenHash, spec }: AgentPlan): Readonly<Record<string, string>> {
  return {
    lease_key: lease.key,
    lease_token: lease.token,
    token_hash: tokenHash,
    tools: spec.orchestratorTools.join(','),
  }
}

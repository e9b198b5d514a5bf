/** What the scripted model says to a request. It remembers only how often a turn with faults was asked for. */
import { NO_USAGE, type Usage } from '../core/envelope.ts'
import { fill } from './placeholders.ts'
import { turnsOf, turnsOfSubagent, type Fault, type Script, type Turn } from './script.ts'
import { faultOf, promptsOf, turnIndex, type Message } from './select-turn.ts'

/** Who asks: taken from the headers that the rehearsal gave to the CLI. */
export interface Caller {
  readonly agentType: string
  readonly sessionId: string
  /** A subagent shares its parent's headers and has a conversation of its own. */
  readonly isSubagent: boolean
}

export interface Answer {
  /** Index of the turn; null for who has none: unknown agent types and subagents. */
  readonly turn: number | null
  readonly text: string | undefined
  readonly tools: readonly { readonly name: string; readonly input: Readonly<Record<string, unknown>> }[]
  readonly usage: Usage
  /** Before the first byte, of a fault too. */
  readonly latencyMs: number
  readonly fault: Fault | null
}

interface ScriptedModel {
  answer(caller: Caller, messages: readonly Message[]): Answer
}

/** Turns whose calls are counted. Beyond it the oldest is forgotten, and its faults would begin anew. */
const COUNTED_TURNS = 10_000

export function createScriptedModel(script: Script): ScriptedModel {
  const calls = new Map<string, number>()

  /** How often this turn of this speaker was asked for before. */
  function countCall(speaker: string, turn: number): number {
    const key = `${speaker} ${turn}`
    const before = calls.get(key) ?? 0
    calls.delete(key)
    calls.set(key, before + 1)
    const oldest = calls.keys().next().value
    if (calls.size > COUNTED_TURNS && oldest !== undefined) calls.delete(oldest)
    return before
  }

  function turnsFor(caller: Caller, prompt: string): readonly Turn[] | undefined {
    return caller.isSubagent ? turnsOfSubagent(script, prompt) : turnsOf(script, caller.agentType)
  }

  return {
    answer(caller, messages) {
      const { first, latest } = promptsOf(messages)
      const turns = turnsFor(caller, first)
      if (turns === undefined) return withoutTurns(script, caller)
      const index = turnIndex(messages, turns.length)
      const turn = turns[index]
      if (turn === undefined) throw new Error(`script ${script.name} has no turn ${index}`)
      const values = {
        prompt: first,
        message: latest,
        agent_type: caller.agentType,
        session_id: caller.sessionId,
      }
      return {
        turn: index,
        text: fill(turn.text, values),
        tools: fill(turn.tools ?? [], values),
        usage: turn.usage,
        latencyMs: turn.latency_ms,
        fault: turn.faults.length > 0 ? faultOf(turn, countCall(speakerOf(caller, first), index)) : null,
      }
    },
  }
}

/** Whose faults are counted together. */
function speakerOf({ sessionId, isSubagent }: Caller, prompt: string): string {
  return isSubagent ? `${sessionId} ${prompt}` : sessionId
}

function withoutTurns(script: Script, { agentType, isSubagent }: Caller): Answer {
  // Free of charge, so that a session's totals are its script's.
  return isSubagent
    ? plainAnswer('This is a rehearsal: this subagent has no script.')
    : unknownAgentType(script, agentType)
}

function plainAnswer(text: string): Answer {
  return { turn: null, text, tools: [], usage: NO_USAGE, latencyMs: 0, fault: null }
}

/** As an error of the API, so that the session fails with this sentence instead of waiting. */
function unknownAgentType(script: Script, agentType: string): Answer {
  const message = `The rehearsal script ${script.name} has no turns for ${agentType}: add them, or turns for "*".`
  return { ...plainAnswer(message), fault: { status: 400, type: 'invalid_request_error', message } }
}

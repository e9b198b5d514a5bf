/** What the scripted model says to a request. It remembers only how often a turn with faults was asked for. */
import { NO_USAGE, type Usage } from '../core/envelope.ts'
import { fill } from './placeholders.ts'
import { turnsOf, type Fault, type Script } from './script.ts'
import { faultOf, promptsOf, turnIndex, type Message } from './select-turn.ts'

/** Who asks: taken from the headers that the rehearsal gave to the CLI. */
export interface Caller {
  readonly agentType: string
  readonly sessionId: string
  /** A subagent shares its parent's headers and has a conversation of its own. */
  readonly isSubagent: boolean
}

export interface Answer {
  /** Index of the turn; null for what no script is asked for: subagents, unknown agent types. */
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

  /** How often this turn was asked for before. */
  function countCall(sessionId: string, turn: number): number {
    const key = `${sessionId} ${turn}`
    const before = calls.get(key) ?? 0
    calls.delete(key)
    calls.set(key, before + 1)
    const oldest = calls.keys().next().value
    if (calls.size > COUNTED_TURNS && oldest !== undefined) calls.delete(oldest)
    return before
  }

  return {
    answer(caller, messages) {
      // Free of charge, so that a session's totals are its script's.
      if (caller.isSubagent) return plainAnswer('This is a rehearsal: subagents have no script.')
      const turns = turnsOf(script, caller.agentType)
      if (turns === undefined) return unknownAgentType(script, caller.agentType)
      const index = turnIndex(messages, turns.length)
      const turn = turns[index]
      if (turn === undefined) throw new Error(`script ${script.name} has no turn ${index}`)
      const { first, latest } = promptsOf(messages)
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
        fault: turn.faults.length > 0 ? faultOf(turn, countCall(caller.sessionId, index)) : null,
      }
    },
  }
}

function plainAnswer(text: string): Answer {
  return { turn: null, text, tools: [], usage: NO_USAGE, latencyMs: 0, fault: null }
}

/** As an error of the API, so that the session fails with this sentence instead of waiting. */
function unknownAgentType(script: Script, agentType: string): Answer {
  const message = `The rehearsal script ${script.name} has no turns for ${agentType}: add them, or turns for "*".`
  return { ...plainAnswer(message), fault: { status: 400, type: 'invalid_request_error', message } }
}

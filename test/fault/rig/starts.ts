/** When agents really started and ended, by the witness and by the kernel: what the product says is not asked. */
import { isTreeAlive, type WitnessRecord } from '../../support/fake-claude.ts'
import { until } from '../../support/until.ts'
import type { Field } from './field.ts'
import { livesOf, type Life } from './lives.ts'

/** The starts of a session's agents, in the order of time. */
export function startsOf(field: Field, sessionId: string): WitnessRecord[] {
  return field.witness().filter((record) => record.kind === 'start' && record.session_id === sessionId)
}

/** The lives of a session's agents on the witness' clock, in the order of time. */
export function livesOfSession(field: Field, sessionId: string): Life[] {
  return livesOf(field.witness()).filter((life) => life.sessionId === sessionId)
}

/** Milliseconds from now until nothing of the agent lives: neither it nor anything that it has started. */
export async function untilGone(field: Field, agentId: string, timeoutMs = 10_000): Promise<number> {
  const from = field.now()
  await until(() => !isTreeAlive(field.witnessDir, agentId), {
    timeoutMs,
    message: `${agentId} and all that it has started to be gone`,
  })
  return field.now() - from
}

/** A time stamp of the ledger on the witness' clock. */
export function onWitnessClock(field: Field, timestamp: string): number {
  return Date.parse(timestamp) - Date.now() + field.now()
}

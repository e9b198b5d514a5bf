/**
 * What dead workers of this data directory left: the rest of their agents' spools goes to the stream.
 *
 * Lines that were taken are dropped by the script, so a pass may die anywhere and be repeated. An agent whose session
 * has gone on without it is closed here with what its spool says; the one that its session last had is closed by
 * whoever takes that session's job next (`session-run.ts`).
 */
import { join } from 'node:path'
import type { AgentClosed } from '../core/events.ts'
import { isEnded } from '../core/state.ts'
import { SPOOL_FILE } from '../guard/protocol.ts'
import type { AgentRef, SessionStore } from '../queue/session-store.ts'
import { readAgentRecord } from '../session/agent-record.ts'
import { createSessionDirectory } from '../session/directory.ts'
import { isRunning } from '../setup/identity.ts'
import { sendSpool } from './agent-stream.ts'
import { FULL_SPEED, type Flow } from './flow.ts'

export interface LeftoverParts {
  readonly store: SessionStore
  readonly dataDir: string
  /** @default full speed */
  readonly flow?: Flow
}

/** Sends what the dead agents of a session left here. Answers false while a live worker still has one of them. */
export async function sendLeftovers(parts: LeftoverParts, sessionId: string): Promise<boolean> {
  let done = true
  for (const dir of await createSessionDirectory(parts.dataDir, sessionId).agents()) {
    const record = await readAgentRecord(dir)
    if (record === null) continue
    if (await isRunning(record.worker)) done = false
    else {
      const agent = {
        sessionId,
        agentType: record.agent_type,
        agentId: record.agent_id,
        epoch: record.epoch,
      }
      await sendAgent(parts, agent, join(dir, SPOOL_FILE))
    }
  }
  return done
}

async function sendAgent(
  { store, flow = FULL_SPEED }: LeftoverParts,
  agent: AgentRef,
  spool: string,
): Promise<void> {
  const session = await store.read(agent.sessionId)
  if (session === null || session.closed.has(agent.agentId)) return
  const { stats } = await sendSpool(store, agent, spool, { flow })
  const { epoch, over, state } = session
  const isLast = epoch === agent.epoch && over !== epoch && !isEnded(state)
  if (isLast) return
  const closed: AgentClosed = { ...stats, tail_unknown: false }
  await store.close(agent, [{ type: 'drover.agent.closed', payload: closed }])
}

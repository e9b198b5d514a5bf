/** What is said to sessions over HTTP. The producer does it; here is what only the ledger knows. */
import type { z } from 'zod'
import type { Actor } from '../core/envelope.ts'
import { isDroverError } from '../core/errors.ts'
import type {
  InterruptAnswer,
  PermissionAnswer,
  permissionBodySchema,
  SendAnswer,
  sendBodySchema,
} from '../core/follow-up.ts'
import { howToGoOn } from '../core/restart-by-hand.ts'
import type { LedgerReader } from '../ledger/ledger.ts'
import type { FollowUp, Told } from '../producer/follow-up.ts'
import type { Recorder } from '../recorder/recorder.ts'
import { goneFromRedis, resolveSession } from './resolve-session.ts'
import { LEDGER_WAIT_MS } from './spawn.ts'
import type { ViaRedis } from './via-redis.ts'

export interface BoardFollowUpParts {
  readonly ledger: LedgerReader
  readonly followUp: FollowUp
  readonly recorder: Pick<Recorder, 'waitFor'>
  readonly viaRedis: ViaRedis
}

/** All take the id of a session or of an agent; answers come when the ledger has it, or after two seconds. */
export interface BoardFollowUp {
  /** @throws DroverError as `FollowUp`; `session_not_found` and `agent_not_found` with "did you mean" */
  send(
    id: string,
    body: z.output<typeof sendBodySchema>,
    by: { readonly actor: Actor; readonly idempotencyKey?: string | undefined },
  ): Promise<SendAnswer>
  interrupt(id: string, by: { readonly actor: Actor; readonly signal: AbortSignal }): Promise<InterruptAnswer>
  answer(
    id: string,
    body: z.output<typeof permissionBodySchema>,
    by: { readonly actor: Actor },
  ): Promise<PermissionAnswer>
}

export function createBoardFollowUp(parts: BoardFollowUpParts): BoardFollowUp {
  const { ledger, followUp, recorder, viaRedis } = parts

  /** Also whether it was recorded in time. */
  async function recorded<Answer>(
    sessionId: string,
    telling: Promise<Told<Answer>>,
  ): Promise<{ readonly answer: Answer; readonly isRecorded: boolean }> {
    try {
      const { answer, streamId } = await viaRedis(telling)
      const isRecorded = streamId === '' || (await recorder.waitFor(streamId, LEDGER_WAIT_MS))
      return { answer, isRecorded }
    } catch (error) {
      if (!isDroverError(error) || error.code !== 'session_not_found') throw error
      throw goneFromRedis(ledger, sessionId, (status) => `. ${howToGoOn(sessionId, status)}`)
    }
  }

  return {
    async send(id, { text, priority, message_id }, { actor, idempotencyKey }) {
      const { sessionId } = resolveSession(ledger, id)
      const { answer, isRecorded } = await recorded(
        sessionId,
        followUp.send(sessionId, {
          actor,
          text,
          priority: priority ?? undefined,
          messageId: message_id ?? undefined,
          idempotencyKey,
        }),
      )
      return { ...answer, durability: isRecorded ? 'ledger' : 'redis' }
    },

    async interrupt(id, { actor, signal }) {
      const { sessionId, agentId } = resolveSession(ledger, id)
      const { answer } = await recorded(sessionId, followUp.interrupt(sessionId, { actor, agentId, signal }))
      return answer
    },

    async answer(id, body, { actor }) {
      const { sessionId } = resolveSession(ledger, id)
      const { answer } = await recorded(
        sessionId,
        followUp.answer(sessionId, {
          actor,
          requestId: body.request_id ?? undefined,
          behavior: body.behavior,
          message: body.message ?? undefined,
          updatedInput: body.updated_input ?? undefined,
          interrupt: body.interrupt ?? undefined,
        }),
      )
      return answer
    },
  }
}

/**
 * Messages that a session's next agent is to be given: those that its conversation does not have. A worker that died
 * may have given one to its agent and not have written that down, so the conversation is asked: what it has is not
 * given again, what it does not have is, under the same uuid. (A message that began a turn the CLI itself knows again.)
 */
import type { MessageDelivered } from '../core/events.ts'
import type { SessionRecord, SessionStore } from '../queue/session-store.ts'
import type { TalkStore, WaitingMessage } from '../queue/talk.ts'
import type { Transcript } from '../session/transcript.ts'

export interface UndeliveredParts {
  readonly store: Pick<SessionStore, 'change'>
  readonly talk: Pick<TalkStore, 'read'>
}

/** In their order. What the conversation has is recorded as delivered, to the agent before. */
export async function undelivered(
  { store, talk }: UndeliveredParts,
  record: SessionRecord,
  transcript: Pick<Transcript, 'messagesIn'>,
): Promise<readonly WaitingMessage[]> {
  const { messages } = await talk.read(record.sessionId)
  const { agentId, sessionId, agentType } = record
  if (messages.length === 0 || agentId === null) return messages
  const has = await transcript.messagesIn(messages.map((message) => message.message_id))
  const done = messages.filter((message) => has.has(message.message_id))
  if (done.length > 0) {
    const ids = done.map((message) => message.message_id)
    // Its agent is over: the session is what says it now.
    await store.change(
      { sessionId, agentType, agentId },
      {
        talk: { done: ids },
        events: done
          .filter((message) => message.startedBy === null)
          .map((message) => ({
            type: 'drover.message.delivered',
            payload: { message_id: message.message_id } satisfies MessageDelivered,
          })),
      },
    )
  }
  return messages.filter((message) => !has.has(message.message_id))
}

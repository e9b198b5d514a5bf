/**
 * Mail between agents, for every door: who a message is from and for, who may read and take it.
 *
 * Redis has what waits, the ledger what was: a message is sent, read and taken by one script call each, and those who
 * list messages see it as soon as it is recorded. What a repeat does: `queue/mail-script.ts`.
 */
import type { Actor } from '../core/envelope.ts'
import { isDroverError } from '../core/errors.ts'
import { messageIdOfBroadcast, newId, SESSION_ID_PATTERN } from '../core/ids.ts'
import {
  TO_OPERATOR,
  type AcknowledgedAnswer,
  type Broadcast,
  type BroadcastAnswer,
  type InboxAnswer,
  type Mail,
  type Reply,
  type SendMail,
  type SentAnswer,
} from '../core/mail.ts'
import type { MailAnswered, MailSent } from '../core/mail-events.ts'
import { digestOfMail, type MailReader, type MailStore } from '../queue/mail.ts'
import { reached } from '../queue/stream-id.ts'
import type { Recorder } from '../recorder/recorder.ts'
import { createAddresses, OPERATOR, type AddressParts, type Recipient } from './mail-address.ts'
import { conflict, inboxFull, messageNotFound, notYours, sessionEnded } from './mail-refusals.ts'
import { LEDGER_WAIT_MS } from './spawn.ts'

export interface PostOfficeParts extends AddressParts {
  readonly mail: MailStore
  readonly recorder: Pick<Recorder, 'waitFor'>
  /** Takes secrets out of what is sent (docs/redaction.md). */
  readonly redact: (text: string) => string
}

/** Who sends, reads or takes. */
export interface Correspondent {
  readonly actor: Actor
  /** The session whose agent it is; null: a person or a service, who reads the operator's inbox and may take all mail. */
  readonly sessionId: string | null
}

/** All of it may be repeated; answers come when the ledger has it, or after two seconds. */
export interface PostOffice {
  /**
   * @throws DroverError `invalid_request` for a parent that there is not, `session_not_found`, `agent_type_not_found`,
   *   `session_ended`, `inbox_full`, `idempotency_conflict` for a message id that was used for another message
   */
  send(body: SendMail, by: Correspondent): Promise<SentAnswer>
  /** To each session that has an agent, but the sender. What some of them refuse, the others get. */
  broadcast(body: Broadcast, by: Correspondent): Promise<BroadcastAnswer>
  /** To whoever sent the message, which it takes. @throws as `send`; `message_not_found`, `forbidden` */
  reply(messageId: string, body: Reply, by: Correspondent): Promise<SentAnswer>
  /** @throws DroverError `message_not_found`, `forbidden` */
  acknowledge(messageId: string, by: Correspondent): Promise<AcknowledgedAnswer>
  /** Reading takes nothing: what is not acknowledged is there again. @throws DroverError `session_ended` */
  inbox(limit: number, by: Correspondent): Promise<InboxAnswer>
  /** @throws DroverError `message_not_found`, `forbidden` */
  message(messageId: string, by: Correspondent): Promise<Mail>
}

/** Sends at a time: a broadcast holds neither Redis nor memory. */
const PARALLEL = 16

export function createPostOffice(parts: PostOfficeParts): PostOffice {
  const { ledger, mail, recorder, viaRedis, redact } = parts
  const addresses = createAddresses(parts)

  async function put(
    message: MailSent,
    answered: MailAnswered | null,
    reader: MailReader | null,
  ): Promise<{ readonly streamId: string; readonly createdAt: string; readonly repeated: boolean }> {
    const sent = await viaRedis(mail.send(message, answered, reader))
    if (sent.ok) return sent
    const { to_session, to_agent_type, message_id } = message
    switch (sent.refused) {
      case 'full':
        throw inboxFull(to_session ?? to_agent_type ?? TO_OPERATOR)
      case 'conflict':
        throw conflict(message_id)
      case 'refused':
        throw notYours(answered?.message_id ?? '')
      case 'missing':
      case 'ended':
        throw sessionEnded(to_session ?? '')
    }
  }

  /** Sends one message; one of that id that is recorded already is answered as it is. */
  async function deliver(
    message: MailSent,
    answered: MailAnswered | null,
    reader: MailReader | null,
  ): Promise<SentAnswer> {
    const { message_id, thread_id, to_session, to_agent_type } = message
    const before = ledger.messages.get(message_id)
    if (before !== null && digestOfMail(before) !== digestOfMail(message)) throw conflict(message_id)
    const { streamId, createdAt, repeated } =
      before === null
        ? await put(message, answered, reader)
        : { streamId: '', createdAt: before.created_at, repeated: true }
    const recorded = streamId === '' || (await recorder.waitFor(streamId, LEDGER_WAIT_MS))
    const durability = recorded ? 'ledger' : 'redis'
    return {
      success: true,
      message_id,
      thread_id,
      to_session,
      to_agent_type,
      durability,
      created_at: createdAt,
      repeated,
    }
  }

  function compose(
    text: string,
    sender: MailReader | null,
    recipient: Recipient,
    more: Pick<MailSent, 'message_id' | 'actor'> & Partial<MailSent>,
  ): MailSent {
    return {
      channel: 'mail',
      thread_id: more.message_id,
      in_reply_to: null,
      broadcast_id: null,
      from_session: sender?.sessionId ?? null,
      from_agent_type: sender?.agentType ?? null,
      to_session: recipient.to_session,
      to_agent_type: recipient.to_agent_type,
      agent_type: recipient.to_agent_type ?? sender?.agentType ?? '',
      text: redact(text),
      ...more,
    }
  }

  /** As Redis has it, until a day after it was taken; else as it is recorded. Its text may be missing. */
  async function known(messageId: string): Promise<MailSent | Mail> {
    const found = (await viaRedis(mail.find(messageId))) ?? ledger.messages.get(messageId)
    if (found === null) throw messageNotFound(messageId)
    return found
  }

  /** What was sent under this id before, recorded or not yet. */
  async function sentBefore(messageId: string | null | undefined): Promise<MailSent | Mail | null> {
    if (messageId == null) return null
    return ledger.messages.get(messageId) ?? (await viaRedis(mail.find(messageId)))
  }

  function answeredBy(message: MailSent | Mail, actor: Actor, replyId: string | null): MailAnswered {
    return {
      channel: 'mail',
      message_id: message.message_id,
      agent_type: message.to_agent_type ?? message.from_agent_type ?? '',
      actor,
      reply_id: replyId,
    }
  }

  return {
    async send({ to, text, message_id }, by) {
      const sender = await addresses.sender(by.sessionId)
      const before = await sentBefore(message_id)
      const recipient =
        before === null ? await addresses.recipient(to, sender) : recipientOfRepeat(before, to)
      const message = compose(text, sender, recipient, { message_id: message_id ?? newId(), actor: by.actor })
      return await deliver(message, null, sender)
    },

    async broadcast({ text, agent_type, broadcast_id }, by) {
      const sender = await addresses.sender(by.sessionId)
      const broadcastId = broadcast_id ?? newId()
      const messages: BroadcastAnswer['messages'] = []
      const refused: BroadcastAnswer['refused'] = []
      let last = ''

      async function sendTo(sessionId: string): Promise<void> {
        try {
          const recipient = await addresses.openSession(sessionId)
          const more = {
            message_id: messageIdOfBroadcast(broadcastId, sessionId),
            broadcast_id: broadcastId,
            actor: by.actor,
          }
          const { streamId } = await put(compose(text, sender, recipient, more), null, sender)
          messages.push({ message_id: more.message_id, to_session: sessionId })
          if (streamId !== '' && !reached(last, streamId)) last = streamId
        } catch (error) {
          if (!isDroverError(error) || error.code === 'redis_unavailable') throw error
          refused.push({ to_session: sessionId, error: error.code, message: error.message })
        }
      }

      const ids = await addresses.running(agent_type ?? null, by.sessionId)
      for (let at = 0; at < ids.length; at += PARALLEL) {
        await Promise.all(ids.slice(at, at + PARALLEL).map(sendTo))
      }
      const recorded = last === '' || (await recorder.waitFor(last, LEDGER_WAIT_MS))
      const durability = recorded ? 'ledger' : 'redis'
      return { success: true, broadcast_id: broadcastId, durability, messages, refused }
    },

    async reply(messageId, { text, message_id }, by) {
      const reader = await addresses.sender(by.sessionId)
      const original = await known(messageId)
      if (!isFor(original, reader)) throw notYours(messageId)
      const { from_session } = original
      const replyId = message_id ?? newId()
      const before = await sentBefore(message_id)
      const recipient =
        before ?? (from_session === null ? OPERATOR : await addresses.openSession(from_session))
      const message = compose(text, reader, recipient, {
        message_id: replyId,
        thread_id: original.thread_id,
        in_reply_to: messageId,
        actor: by.actor,
      })
      return await deliver(message, answeredBy(original, by.actor, replyId), reader)
    },

    async acknowledge(messageId, by) {
      const reader = await addresses.sender(by.sessionId)
      const message = await known(messageId)
      if (!isFor(message, reader)) throw notYours(messageId)
      const taken = await viaRedis(mail.take(answeredBy(message, by.actor, null), reader))
      if (!taken.ok && taken.refused === 'refused') throw notYours(messageId)
      if (taken.ok) await recorder.waitFor(taken.streamId, LEDGER_WAIT_MS)
      return { success: true, message_id: messageId, repeated: !taken.ok }
    },

    async inbox(limit, by) {
      const reader = await addresses.sender(by.sessionId)
      const read = await viaRedis(mail.read(reader, limit, by.actor))
      if (!read.ok) throw sessionEnded(by.sessionId ?? '')
      if (read.streamId !== '') await recorder.waitFor(read.streamId, LEDGER_WAIT_MS)
      const messages = read.messages.map(({ sent, createdAt, readBefore }) => ({
        message_id: sent.message_id,
        thread_id: sent.thread_id,
        in_reply_to: sent.in_reply_to,
        broadcast_id: sent.broadcast_id,
        from_session: sent.from_session,
        from_agent_type: sent.from_agent_type,
        to_session: sent.to_session,
        to_agent_type: sent.to_agent_type,
        text: sent.text,
        created_at: createdAt,
        read_before: readBefore,
      }))
      const { unreadRemaining, total } = read
      return { success: true, session_id: by.sessionId, messages, unread_remaining: unreadRemaining, total }
    },

    async message(messageId, by) {
      const reader = await addresses.sender(by.sessionId)
      const found = ledger.messages.get(messageId)
      if (found === null) throw messageNotFound(messageId)
      if (found.from_session !== by.sessionId && !isFor(found, reader)) throw notYours(messageId)
      return found
    },
  }
}

/** Whom it was sent to the first time: the session may have ended since. */
function recipientOfRepeat(before: MailSent | Mail, to: string): Recipient {
  const isAnother = SESSION_ID_PATTERN.test(to) && to !== before.to_session
  if (isAnother) throw conflict(before.message_id)
  return before
}

/** A person may read and take all mail; a session its own and that of its type. */
function isFor({ to_session, to_agent_type }: Recipient, reader: MailReader | null): boolean {
  if (reader === null || to_session === reader.sessionId) return true
  return to_session === null && to_agent_type === reader.agentType
}

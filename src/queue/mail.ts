/** Messages and inboxes in Redis: what waits for its reader. All changes go through the mail script. */
import type { Redis } from 'ioredis'
import type { Actor } from '../core/envelope.ts'
import { digestOf } from '../core/ids.ts'
import { INBOX_LIMIT, INBOX_LIMIT_BYTES, INBOX_PAGE_BYTES } from '../core/mail.ts'
import type { MailAnswered, MailSent } from '../core/mail-events.ts'
import { notRestored } from './call-session.ts'
import type { Keys } from './keys.ts'
import { MAIL_SCRIPT, RESTORE_MAIL_SCRIPT, SESSION_MAIL_TTL_SECONDS } from './mail-script.ts'

/** Who reads or takes mail: a session, or null: a person. */
export interface MailReader {
  readonly sessionId: string
  readonly agentType: string
}

export type MailSentResult =
  | {
      readonly ok: true
      /** '' where it is recorded for sure. */
      readonly streamId: string
      readonly createdAt: string
      readonly repeated: boolean
    }
  /** `refused`: it answers a message that is for somebody else. */
  | { readonly ok: false; readonly refused: 'conflict' | 'missing' | 'ended' | 'full' | 'refused' }

export type MailTaken =
  | { readonly ok: true; readonly streamId: string }
  | { readonly ok: false; readonly refused: 'taken' | 'missing' | 'refused' }

/** A message as its reader gets it. */
export interface ReadMail {
  readonly sent: MailSent
  readonly createdAt: string
  readonly readBefore: boolean
}

export type MailRead =
  | {
      readonly ok: true
      /** Of the last event; '' where nothing was read for the first time. */
      readonly streamId: string
      readonly messages: readonly ReadMail[]
      readonly unreadRemaining: number
      readonly total: number
    }
  | { readonly ok: false; readonly refused: 'missing' | 'ended' }

/** A message as the ledger has it, for the write-back. */
export interface RestoredMail {
  readonly sent: MailSent
  readonly createdAt: string
  readonly open: boolean
  /** The session that has read it, or `operator`; null: nobody has. */
  readonly holder: string | null
  /** Its place in the inbox, growing with the order in which messages came. */
  readonly place: number
}

/** Every call may be repeated. Throws `redis_unavailable` while what Redis lost is not written back. */
export interface MailStore {
  /** @param answered where it answers a message, which it takes: what is recorded of that */
  send(sent: MailSent, answered: MailAnswered | null, reader: MailReader | null): Promise<MailSentResult>
  take(answered: MailAnswered, reader: MailReader | null): Promise<MailTaken>
  /** The next page: unread messages first. null reads the operator's. */
  read(reader: MailReader | null, limit: number, actor: Actor): Promise<MailRead>
  /** A message, without its text where it was taken; null where Redis has none, or not any more. */
  find(messageId: string): Promise<MailSent | null>
  /** The session has ended: what it has not taken goes. */
  forget(sessionId: string): Promise<void>
}

type MailAnswer = readonly [string, ...string[]]
interface ScriptedRedis extends Redis {
  droverMail(keyCount: number, ...args: string[]): Promise<MailAnswer>
}

/** The mail of one namespace, over a connection that may be shared. */
export function createMailStore(redis: Redis, keys: Keys): MailStore {
  redis.defineCommand('droverMail', { lua: MAIL_SCRIPT })
  const scripted = redis as ScriptedRedis
  const prefixes = {
    session_prefix: keys.session(''),
    live_prefix: keys.live(''),
    message_prefix: keys.message(''),
    inbox_prefix: keys.inbox(''),
  }

  async function call(
    operation: Readonly<Record<string, unknown>>,
    reader: MailReader | null,
    ...payloads: readonly string[]
  ): Promise<MailAnswer> {
    const asked = {
      ...prefixes,
      reader: reader?.sessionId ?? '',
      reader_type: reader?.agentType ?? '',
      ...operation,
    }
    const ts = new Date().toISOString()
    const names = [keys.events, keys.seeded, keys.restored]
    const answer = await scripted.droverMail(names.length, ...names, JSON.stringify(asked), ts, ...payloads)
    if (answer[0] === 'unrestored') throw notRestored()
    return answer
  }

  return {
    async send(sent, answered, reader) {
      const operation = {
        kind: 'send',
        message_id: sent.message_id,
        digest: digestOfMail(sent),
        box: boxOf(sent),
        agent_type: sent.agent_type,
        to_session: sent.to_session ?? '',
        from_session: sent.from_session ?? '',
        in_reply_to: answered === null ? '' : answered.message_id,
        head: headOf(sent),
        most: INBOX_LIMIT,
        most_bytes: INBOX_LIMIT_BYTES,
      }
      const answer = await call(operation, reader, JSON.stringify(sent), JSON.stringify(answered))
      const [said, streamId = '', createdAt = ''] = answer
      if (said === 'ok' || said === 'repeat') {
        return { ok: true, streamId, createdAt, repeated: said === 'repeat' }
      }
      return { ok: false, refused: said as 'conflict' | 'missing' | 'ended' | 'full' | 'refused' }
    },

    async take(answered, reader) {
      const operation = { kind: 'take', message_id: answered.message_id }
      const [said, streamId = ''] = await call(operation, reader, JSON.stringify(answered))
      if (said === 'ok') return { ok: true, streamId }
      return { ok: false, refused: said as 'taken' | 'missing' | 'refused' }
    },

    async read(reader, limit, actor) {
      const operation = { kind: 'read', limit, most_bytes: INBOX_PAGE_BYTES }
      const answer = await call(operation, reader, JSON.stringify(actor))
      if (answer[0] !== 'ok') return { ok: false, refused: answer[0] as 'missing' | 'ended' }
      const [, streamId = '', unread, total, ...page] = answer
      return {
        ok: true,
        streamId,
        messages: messagesOf(page),
        unreadRemaining: Number(unread),
        total: Number(total),
      }
    },

    async find(messageId) {
      const [payload, head] = await redis.hmget(keys.message(messageId), 'payload', 'head')
      const text = payload ?? head ?? null
      return text === null ? null : (JSON.parse(text) as MailSent)
    },

    async forget(sessionId) {
      await call({ kind: 'forget', session_id: sessionId }, null)
    },
  }
}

/** Writes back what Redis may have lost; answers how many messages it did not have. */
export async function restoreMail(
  redis: Redis,
  keys: Pick<Keys, 'message' | 'inbox'>,
  messages: readonly RestoredMail[],
): Promise<number> {
  const pipeline = redis.pipeline()
  for (const { sent, createdAt, open, holder, place } of messages) {
    const box = boxOf(sent)
    const fields = {
      payload: JSON.stringify(sent),
      digest: digestOfMail(sent),
      box,
      ts: createdAt,
      agent_type: sent.agent_type,
      stream_id: '',
      head: headOf(sent),
    }
    pipeline.eval(
      RESTORE_MAIL_SCRIPT,
      2,
      keys.message(sent.message_id),
      keys.inbox(box),
      sent.message_id,
      open ? 1 : 0,
      place,
      sent.to_session === null ? 0 : SESSION_MAIL_TTL_SECONDS,
      holder ?? '',
      ...(open ? Object.entries(fields).flat() : []),
    )
  }
  let written = 0
  for (const [error, answer] of (await pipeline.exec()) ?? []) {
    if (error !== null) throw error
    written += Number(answer)
  }
  return written
}

/** What is left of a message that was taken. */
function headOf(sent: MailSent): string {
  return JSON.stringify({ ...sent, text: '' })
}

function boxOf({ to_session, to_agent_type }: MailSent): string {
  if (to_session !== null) return `session:${to_session}`
  return to_agent_type === null ? 'operator' : `type:${to_agent_type}`
}

/** What makes it another message: a repeat may come from another caller, at another time. */
export function digestOfMail(
  sent: Pick<MailSent, 'from_session' | 'to_session' | 'to_agent_type' | 'in_reply_to' | 'text'>,
): string {
  const { from_session, to_session, to_agent_type, in_reply_to, text } = sent
  return digestOf({ from_session, to_session, to_agent_type, in_reply_to, text })
}

function messagesOf(page: readonly string[]): ReadMail[] {
  const messages: ReadMail[] = []
  for (let at = 0; at < page.length; at += 3) {
    messages.push({
      sent: JSON.parse(page[at] ?? '') as MailSent,
      createdAt: page[at + 1] ?? '',
      readBefore: page[at + 2] === '1',
    })
  }
  return messages
}

/**
 * Messages between agents, as they are asked for and answered. A message is mail: it waits for its reader, and is taken
 * by being acknowledged. Not to be confused with what steers the conversation of a running session (`drover send`).
 */
import { z } from 'zod'
import { AGENT_TYPE_PATTERN, SESSION_ID_PATTERN } from './ids.ts'
import { whole } from './request.ts'

/** Of one message, as UTF-8. Longer material belongs into a file of the workspace. */
export const MAIL_TEXT_LIMIT_BYTES = 256 * 1024
/** Of one inbox: messages that nobody has acknowledged. */
export const INBOX_LIMIT = 500
export const INBOX_LIMIT_BYTES = 16 * 1024 * 1024
/** Of one page of an inbox: no more text than this, but one message at least. */
export const INBOX_PAGE_BYTES = 1024 * 1024
const DEFAULT_PAGE = 20
const LARGEST_PAGE = 100
/** Sessions that one broadcast reaches at most. */
export const BROADCAST_LIMIT = 1000

/** Whoever started the sender: the session that asked for it. */
export const TO_PARENT = 'parent'
/** The people who run this Drover. */
export const TO_OPERATOR = 'operator'

/**
 * `waiting`: nobody has read it. `delivered`: read, and not acknowledged. `acknowledged`: taken, by whoever answered it
 * too. `undeliverable`: the session that it was for has ended without taking it.
 */
export const MAIL_STATES = ['waiting', 'delivered', 'acknowledged', 'undeliverable'] as const
export type MailState = (typeof MAIL_STATES)[number]

const text = z
  .string({ error: 'is required, as text' })
  .refine((value) => value.trim().length > 0, 'must not be empty')
  .refine(
    (value) => Buffer.byteLength(value) <= MAIL_TEXT_LIMIT_BYTES,
    'must be at most 256 KB; put long material into a file and say where it is',
  )
const uuid = z.string().regex(SESSION_ID_PATTERN, 'must be a UUID in lower case')

/** Where a message goes: a session's id, an agent's, an agent type, `parent` or `operator`. */
const to = z
  .string({ error: 'is required: a session id, an agent type, "parent" or "operator"' })
  .refine((value) => value.length > 0 && value.length <= 128, 'must be 1 to 128 characters')

/** The body of `POST /messages`. */
export const sendMailSchema = z.strictObject({
  to,
  text,
  /** A fresh UUID of the caller's: the same id is the same message, so that the request may be repeated. */
  message_id: uuid.nullish(),
})
export type SendMail = z.infer<typeof sendMailSchema>

/** The body of `POST /messages/broadcast`. */
export const broadcastSchema = z.strictObject({
  text,
  /** Only sessions of this agent type. */
  agent_type: z.string().regex(AGENT_TYPE_PATTERN, 'must be the name of an agent type').nullish(),
  /** As `message_id`: what it reached before, it does not reach again. */
  broadcast_id: uuid.nullish(),
})
export type Broadcast = z.infer<typeof broadcastSchema>

/** The body of `POST /messages/:id/reply`. */
export const replySchema = z.strictObject({ text, message_id: uuid.nullish() })
export type Reply = z.infer<typeof replySchema>

/** The body of `POST /messages/inbox`: of the session that asks; without one the inbox of the operator. */
export const inboxSchema = z.strictObject({ limit: whole(1, LARGEST_PAGE).default(DEFAULT_PAGE) })

/** A message as lists show it; there `text` is cut at 2000 characters. */
export const mailSchema = z.object({
  message_id: z.string(),
  /** The first message of the exchange. */
  thread_id: z.string(),
  in_reply_to: z.string().nullable(),
  /** The same for all that one broadcast sent. */
  broadcast_id: z.string().nullable(),
  /** null: a person or a service sent it. */
  from_session: z.string().nullable(),
  from_agent_type: z.string().nullable(),
  /** null: for an agent type, or for the operator. */
  to_session: z.string().nullable(),
  /** null: for the operator. */
  to_agent_type: z.string().nullable(),
  text: z.string(),
  status: z.enum(MAIL_STATES),
  created_at: z.string(),
  delivered_at: z.string().nullable(),
  /** The session that has read it last. */
  delivered_to: z.string().nullable(),
  completed_at: z.string().nullable(),
})
export type Mail = z.infer<typeof mailSchema>

/** A message as its reader gets it. */
export const inboxMailSchema = mailSchema
  .pick({
    message_id: true,
    thread_id: true,
    in_reply_to: true,
    broadcast_id: true,
    from_session: true,
    from_agent_type: true,
    to_session: true,
    to_agent_type: true,
    text: true,
    created_at: true,
  })
  .extend({
    /** It was on an earlier page too, and was not acknowledged. */
    read_before: z.boolean(),
  })
export type InboxMail = z.infer<typeof inboxMailSchema>

const durability = z.enum(['ledger', 'redis'])

/** `POST /messages`, `POST /messages/:id/reply` */
export const sentAnswerSchema = z.object({
  success: z.literal(true),
  message_id: z.string(),
  thread_id: z.string(),
  to_session: z.string().nullable(),
  to_agent_type: z.string().nullable(),
  durability,
  created_at: z.string(),
  /** The same id was sent before: this is that message. */
  repeated: z.boolean(),
})
export type SentAnswer = z.infer<typeof sentAnswerSchema>

/** `POST /messages/broadcast` */
export const broadcastAnswerSchema = z.object({
  success: z.literal(true),
  broadcast_id: z.string(),
  durability,
  messages: z.array(z.object({ message_id: z.string(), to_session: z.string() })),
  /** Sessions that did not get it: they ended a moment ago, or their inbox is full. */
  refused: z.array(z.object({ to_session: z.string(), error: z.string(), message: z.string() })),
})
export type BroadcastAnswer = z.infer<typeof broadcastAnswerSchema>

/** `POST /messages/inbox`: what nobody has read first, then what was read and not acknowledged; each oldest first. */
export const inboxAnswerSchema = z.object({
  success: z.literal(true),
  session_id: z.string().nullable(),
  messages: z.array(inboxMailSchema),
  /** Not read before this page, and not on it. */
  unread_remaining: z.int(),
  /** Not acknowledged, those of this page included. */
  total: z.int(),
})
export type InboxAnswer = z.infer<typeof inboxAnswerSchema>

/** `POST /messages/:id/acknowledge` */
export const acknowledgedAnswerSchema = z.object({
  success: z.literal(true),
  message_id: z.string(),
  /** It was taken before: nothing has changed. */
  repeated: z.boolean(),
})
export type AcknowledgedAnswer = z.infer<typeof acknowledgedAnswerSchema>

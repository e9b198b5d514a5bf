/** Mail between agents as tables and pages for people. Texts are untrusted. */
import type { BroadcastAnswer, InboxAnswer, InboxMail, Mail, MailState, SentAnswer } from '../core/mail.ts'
import type { ListDocument } from '../producer/http-client.ts'
import { ago, counted } from './format.ts'
import type { Colors, Output } from './output.ts'
import { visible, visibleLines } from './safe-text.ts'
import { textTable } from './table.ts'

const STATE_COLORS = {
  waiting: 'yellow',
  delivered: 'cyan',
  acknowledged: 'green',
  undeliverable: 'red',
} as const satisfies Record<MailState, keyof Colors>

const HEADS = ['message', 'from', 'to', 'status', 'age', 'text']

/** A page of `messages list`; `now` is what the ages count from. */
export function messagesTable(
  { messages, next_cursor }: Pick<ListDocument<'messages', Mail>, 'messages' | 'next_cursor'>,
  output: Output,
  now: Date,
): string {
  if (messages.length === 0) return 'No messages.'
  const rows = messages.map((mail) => [
    mail.message_id,
    visible(mail.from_agent_type ?? 'a person'),
    visible(toOf(mail)),
    output.colors[STATE_COLORS[mail.status]](mail.status),
    ago(mail.created_at, now),
    visible(mail.text.trimStart().split('\n', 1)[0] ?? ''),
  ])
  const more = next_cursor === null ? '' : `\n\nMore with --cursor ${next_cursor}`
  return `${textTable(HEADS, rows, output)}${more}`
}

/** `messages show`: the facts, then the text. */
export function messageText(mail: Mail, { colors }: Pick<Output, 'colors'>): string {
  const facts: [string, string | null][] = [
    ['message', mail.message_id],
    ['thread', mail.thread_id],
    ['answers', mail.in_reply_to],
    ['broadcast', mail.broadcast_id],
    ['from', fromOf(mail)],
    ['to', toOf(mail)],
    ['sent', mail.created_at],
    ['read', mail.delivered_at],
    ['read by', mail.delivered_to],
    ['over', mail.completed_at],
  ]
  const line = (name: string, value: string): string => `${colors.dim(name.padEnd(9))} ${value}`
  return [
    line('status', colors[STATE_COLORS[mail.status]](mail.status)),
    ...facts.flatMap(([name, value]) => (value === null ? [] : [line(name, visible(value))])),
    '',
    ...visibleLines(mail.text),
  ].join('\n')
}

/** `messages inbox`: each message with what answers it. */
export function inboxText(
  { messages, unread_remaining, total }: InboxAnswer,
  { colors }: Pick<Output, 'colors'>,
): string {
  if (messages.length === 0) return 'No messages.'
  const shown = messages.map((mail) => {
    const seen = mail.read_before ? ' (read before)' : ''
    const head = `${mail.message_id}  from ${fromOf(mail)}  ${mail.created_at}${seen}`
    return [colors.dim(visible(head)), ...visibleLines(mail.text).map((line) => `  ${line}`)].join('\n')
  })
  const unread = unread_remaining > 0 ? `, ${unread_remaining} more unread` : ''
  return [...shown, `${counted(total, 'message')} not acknowledged${unread}`].join('\n\n')
}

/** `messages send` and `messages reply` */
export function sentText(answer: SentAnswer): string {
  const late = answer.durability === 'redis' ? ' The ledger is behind; lists show it in a moment.' : ''
  return `${answer.message_id} to ${visible(toOf(answer))}${answer.repeated ? ' (sent before)' : ''}${late}`
}

/** `messages broadcast` */
export function broadcastText({ messages, refused }: BroadcastAnswer): string {
  return [
    `Sent to ${counted(messages.length, 'session')}.`,
    ...refused.map(({ to_session, message }) => `  not to ${to_session}: ${visible(message)}`),
  ].join('\n')
}

function fromOf({
  from_session,
  from_agent_type,
}: Pick<InboxMail, 'from_session' | 'from_agent_type'>): string {
  return from_session === null ? 'a person' : `${from_agent_type} ${from_session}`
}

function toOf({ to_session, to_agent_type }: Pick<InboxMail, 'to_session' | 'to_agent_type'>): string {
  return to_session ?? to_agent_type ?? 'operator'
}

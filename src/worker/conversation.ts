/**
 * Which conversation the next agent begins with, made ready on this machine.
 *
 * Two copies of a conversation may differ: the files here, and what Redis has. Whoever writes one only appends, and
 * Redis is written by the session's present agent alone. So the files here win if they begin with everything that
 * Redis has: then they are the same conversation and maybe some seconds longer (the last pod died before it had
 * copied them, or this pod shares the directory with it). Otherwise an agent elsewhere has gone on since, and Redis'
 * take their place. Neither length nor epoch alone can tell: an agent that was cut off may have written more that
 * nobody went on from than its successor elsewhere, and a later epoch may have written nothing at all.
 *
 * Nobody writes to these files meanwhile: the lease is held, so the agent before is dead by its deadline, and what a
 * dead guard of this data directory left was ended by `launch.ts` before.
 */
import type { Conversation } from '../core/agent-prompt.ts'
import { isDroverError } from '../core/errors.ts'
import type { SessionRecord } from '../queue/session-store.ts'
import type { Transcripts } from '../queue/transcripts.ts'
import { PACKED_LIMIT, type Transcript } from '../session/transcript.ts'

export interface ConversationParts {
  readonly transcripts: Transcripts
  readonly onError: (error: unknown) => void
}

/** `elsewhere`: too large to travel, and not here; the sentence says where. */
export type Begun =
  | { readonly kind: 'here'; readonly conversation: Conversation }
  | { readonly kind: 'elsewhere'; readonly problem: string }

/**
 * Decides, and unpacks where that is needed. `open` answers the transcript of a session on this machine; `fresh`: the
 * CLI said that there is none. Throws what Redis and the file system say.
 */
export async function beginConversation(
  parts: ConversationParts,
  record: SessionRecord,
  open: (sessionId: string) => Transcript,
  fresh: boolean,
): Promise<Begun> {
  const bring = (sessionId: string): Promise<Brought> => bringHere(parts, sessionId, open(sessionId))
  const isFirst = record.agentId === null
  if (!isFirst && !fresh) {
    const brought = await bring(record.sessionId)
    if (typeof brought === 'object') return { kind: 'elsewhere', problem: tooLarge(brought.onlyOn) }
    // The agents before were ended before they had said a word: there is nothing to go on with.
    if (brought === 'nowhere' && record.startedAt === null && record.restartOf === null) {
      return { kind: 'here', conversation: 'new' }
    }
    // Where there is none the CLI is the one to say so, and the session begins again.
    return { kind: 'here', conversation: 'resumed' }
  }
  if (record.restartOf !== null && (await bring(record.restartOf)) === 'here') {
    return { kind: 'here', conversation: 'forked' }
  }
  return { kind: 'here', conversation: isFirst && record.restartOf === null ? 'new' : 'lost' }
}

function tooLarge(podId: string): string {
  const megabytes = PACKED_LIMIT / 1024 / 1024
  return `Its conversation is larger than ${megabytes} MB, too large to travel, and is on pod ${podId}.`
}

type Brought = 'here' | 'nowhere' | { readonly onlyOn: string }

async function bringHere(
  { transcripts, onError }: ConversationParts,
  sessionId: string,
  transcript: Transcript,
): Promise<Brought> {
  const head = await transcripts.head(sessionId)
  if (head === null) return (await transcript.stamp()) === null ? 'nowhere' : 'here'
  if (await transcript.holds(head.mark)) return 'here'
  if (head.pieces === 0) return { onlyOn: head.podId }
  const archive = await transcripts.read(sessionId)
  if (archive === null) return 'nowhere'
  try {
    await transcript.unpack(archive)
  } catch (error) {
    // Damaged or tampered with: it would be that the next time too.
    if (!isDroverError(error)) throw error
    onError(error)
    return 'nowhere'
  }
  return 'here'
}

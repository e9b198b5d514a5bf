/**
 * The conversations of sessions that have not ended, in Redis, so that another pod can go on with them.
 *
 * A conversation is written by the pod of the session's present agent. Every call carries the agent's epoch and is
 * refused when the session has gone on to another one. The pieces are put together under a key of their own, which
 * takes the place of the old conversation with the last piece: a reader finds the old one or the new one, whole. Dying
 * in between leaves pieces that go by themselves; a repeated call changes nothing.
 *
 * What it costs (measured with `appendfsync always` on two busy cores): a usual conversation, 60 kB packed, is one
 * command of 1 ms. The largest, 16 MB, is 64 commands and 100 to 130 ms; another client waited 18 ms at worst.
 *
 * The copy is as good as Redis is. If Redis loses it, the session goes on where the files are, and elsewhere begins
 * again, which its next prompt says.
 */
import type { Redis } from 'ioredis'
import { newId } from '../core/ids.ts'
import type { Keys } from './keys.ts'
import type { AgentRef } from './session-store.ts'

/** Bytes of a piece. */
const PIECE_BYTES = 256 * 1024
/** A pod that died while it sent: its pieces go after this. */
const PIECES_TTL_MS = 60_000
/** The longest life of a session is 30 days; what is still here then belongs to nobody. */
const LONGEST_TTL_SECONDS = 31 * 24 * 3600
/** A conversation that changes while it is read (its old pod's last call was still on its way) is read again. */
const READ_TRIES = 3

/**
 * KEYS  1 session hash · 2 pieces under way · 3 transcript
 * ARGV  1 epoch · 2 version · 3 number of this piece (from 1) · 4 pieces · 5 the piece · 6 head as JSON · 7, 8 times to live
 */
const PUT_SCRIPT = `
local epoch = redis.call('HGET', KEYS[1], 'epoch')
-- A lower one: Redis has lost that this agent began, and its pod has not sent it again yet.
if not epoch or tonumber(epoch) < tonumber(ARGV[1]) then return 'missing' end
if epoch ~= ARGV[1] then return 'stale' end
if redis.call('HGET', KEYS[3], 'version') == ARGV[2] then return 'ok' end
if redis.call('HGET', KEYS[2], 'version') ~= ARGV[2] then redis.call('UNLINK', KEYS[2]) end
redis.call('HSET', KEYS[2], 'version', ARGV[2], 'head', ARGV[6], 'piece:' .. ARGV[3], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[7])
if ARGV[3] ~= ARGV[4] then return 'ok' end
if redis.call('HLEN', KEYS[2]) ~= tonumber(ARGV[4]) + 2 then return 'incomplete' end
redis.call('UNLINK', KEYS[3])
redis.call('RENAME', KEYS[2], KEYS[3])
redis.call('EXPIRE', KEYS[3], ARGV[8])
return 'ok'
`

/** What is known of a conversation without reading it. */
export interface TranscriptHead {
  /** Another one for each time it was written. */
  readonly version: string
  /** The pod that wrote it. */
  readonly podId: string
  /** How the conversation begins, over all that was packed: see `session/transcript.ts`. */
  readonly mark: { readonly bytes: number; readonly sha256: string }
  /** 0: too large to travel, it is on its pod only. */
  readonly pieces: number
}

/** `stale`: the session has another agent by now. `missing`: Redis has no such session, or not this agent of it. */
export type Put =
  | { readonly ok: true; readonly version: string }
  | { readonly ok: false; readonly refused: 'stale' | 'missing' }

export interface Transcripts {
  head(sessionId: string): Promise<TranscriptHead | null>
  /** null where there is none, or it is too large to travel. Throws where it is not whole. */
  read(sessionId: string): Promise<Buffer | null>
  /** Takes the place of the one before; `archive` null says that there is one, too large to travel. */
  put(
    agent: AgentRef,
    transcript: Pick<TranscriptHead, 'podId' | 'mark'> & { readonly archive: Buffer | null },
  ): Promise<Put>
  /** It goes after so many seconds from now, if there is one. */
  keepFor(sessionId: string, seconds: number): Promise<void>
  remove(sessionId: string): Promise<void>
}

interface ScriptedRedis extends Redis {
  droverPutTranscript(keyCount: number, ...args: (string | number | Buffer)[]): Promise<string>
}

/** The copies of conversations of a namespace, over a connection that may be shared. */
export function createTranscripts(redis: Redis, keys: Keys): Transcripts {
  redis.defineCommand('droverPutTranscript', { lua: PUT_SCRIPT })
  const scripted = redis as ScriptedRedis

  async function head(sessionId: string): Promise<TranscriptHead | null> {
    const [version, text] = await redis.hmget(keys.transcript(sessionId), 'version', 'head')
    if (!version || !text) return null
    return { version, ...(JSON.parse(text) as Omit<TranscriptHead, 'version'>) }
  }

  /** null: it was written anew meanwhile. */
  async function readVersion(sessionId: string, { version, pieces }: TranscriptHead): Promise<Buffer | null> {
    const read: Buffer[] = []
    for (let number = 1; number <= pieces; number++) {
      const [at, piece] = await redis.hmgetBuffer(keys.transcript(sessionId), 'version', `piece:${number}`)
      if (at?.toString() !== version || !piece) return null
      read.push(piece)
    }
    return Buffer.concat(read)
  }

  return {
    head,

    async read(sessionId) {
      for (let tries = 0; tries < READ_TRIES; tries++) {
        const found = await head(sessionId)
        if (found === null || found.pieces === 0) return null
        const archive = await readVersion(sessionId, found)
        if (archive !== null) return archive
      }
      throw new Error(`The transcript of session ${sessionId} changed each time it was read.`)
    },

    async put(agent, { podId, mark, archive }) {
      const version = newId()
      const pieces = archive === null ? [] : piecesOf(archive)
      const text = JSON.stringify({ podId, mark, pieces: pieces.length })
      // One that cannot travel is one empty piece.
      const sent = pieces.length === 0 ? [Buffer.alloc(0)] : pieces
      for (const [index, piece] of sent.entries()) {
        const answer = await scripted.droverPutTranscript(
          3,
          keys.session(agent.sessionId),
          keys.transcriptPieces(agent.sessionId, agent.epoch),
          keys.transcript(agent.sessionId),
          agent.epoch,
          version,
          index + 1,
          sent.length,
          piece,
          text,
          PIECES_TTL_MS,
          LONGEST_TTL_SECONDS,
        )
        if (answer === 'stale' || answer === 'missing') return { ok: false, refused: answer }
        if (answer !== 'ok') {
          throw new Error(`The transcript of session ${agent.sessionId} took too long to be sent.`)
        }
      }
      return { ok: true, version }
    },

    async keepFor(sessionId, seconds) {
      await redis.expire(keys.transcript(sessionId), seconds)
    },

    async remove(sessionId) {
      await redis.unlink(keys.transcript(sessionId))
    },
  }
}

function piecesOf(archive: Buffer): Buffer[] {
  return Array.from({ length: Math.ceil(archive.length / PIECE_BYTES) }, (_, index) =>
    archive.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES),
  )
}

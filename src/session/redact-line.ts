/**
 * Takes the secrets out of an agent's lines, before anybody else sees them.
 *
 * A text that the CLI prints in pieces (`stream_event` lines with deltas) is redacted as a whole: what could be the
 * beginning of a secret waits for the next delta of its block. What still waits when the block ends is left out; the
 * `assistant` line that follows has the whole text.
 *
 * The state is a function of the spool from its first line, so a line that is sent twice is the same twice: whoever
 * reads a spool begins at line 1 with a new redactor. Number and length of a line stay what they are.
 */
import type { Pieces, Redactor } from '../core/redact.ts'
import { RAW_LIMIT, readLine, type SpoolLine } from './line.ts'

/** Members of a delta that are pieces of a longer text. */
const PIECES = ['text', 'partial_json', 'thinking']
/** Blocks that are open at a time; an agent may print what it likes. */
const MOST_BLOCKS = 256
/** What `cutText` puts at the end of a line that was too long. */
const CUT_NOTE = / … \[cut: \d+ characters in all\]$/

type Members = Readonly<Record<string, unknown>>

/** For the lines of one spool, in their order. */
export function createLineRedactor(redactor: Redactor): (line: SpoolLine) => SpoolLine {
  const blocks = new Map<string, Pieces>()

  /** The line with what of its delta may be given out now; null where nothing changes. */
  function withDelta(message: Members): string | null {
    const event = objectOf(message['event'])
    const index = event?.['index']
    if (event === null || typeof index !== 'number') return null
    const block = `${JSON.stringify(message['parent_tool_use_id'] ?? null)} ${index}`
    const delta = objectOf(event['delta'])
    if (delta === null) {
      // The block begins or ends.
      for (const member of PIECES) blocks.delete(`${block} ${member}`)
      return null
    }
    const changed: Record<string, unknown> = {}
    for (const member of PIECES) {
      const piece = delta[member]
      if (typeof piece !== 'string') continue
      const out = piecesOf(`${block} ${member}`).push(piece)
      if (out !== piece) changed[member] = out
    }
    if (Object.keys(changed).length === 0) return null
    return JSON.stringify({ ...message, event: { ...event, delta: { ...delta, ...changed } } })
  }

  function piecesOf(key: string): Pieces {
    const known = blocks.get(key)
    if (known !== undefined) return known
    if (blocks.size >= MOST_BLOCKS) blocks.clear()
    const pieces = redactor.pieces()
    blocks.set(key, pieces)
    return pieces
  }

  return (line) => {
    if (line.message === null && line.type === 'claude.unparsed') return redactRaw(line, redactor)
    const ofDelta = line.message?.['type'] === 'stream_event' ? withDelta(line.message) : null
    const payloadText = redactor.json(ofDelta ?? line.payloadText)
    if (payloadText === line.payloadText) return line
    // Read again: the type is made of the line too.
    const redacted = readLine(Buffer.from(payloadText), line.line, line.partial)
    return { ...redacted, bytes: line.bytes }
  }
}

/** Text that is no JSON may be cut anywhere: in the middle of a secret, too. */
function redactRaw(line: SpoolLine, redactor: Redactor): SpoolLine {
  const raw = objectOf(JSON.parse(line.payloadText))?.['raw']
  if (typeof raw !== 'string') return line
  const note = raw.length === RAW_LIMIT ? (CUT_NOTE.exec(raw)?.[0] ?? '') : ''
  const pieces = redactor.pieces()
  const text = raw.slice(0, raw.length - note.length)
  const redacted = pieces.push(text) + pieces.end()
  return redacted === text ? line : { ...line, payloadText: JSON.stringify({ raw: redacted + note }) }
}

function objectOf(value: unknown): Members | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null
}

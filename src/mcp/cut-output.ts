/** An agent's last words, bounded: whoever asked reads them in a conversation of its own. */

/** The words from an offset on, and how to get the rest. */
export interface CutOutput {
  readonly output: string | null
  /** Only where something is left out: characters in all, and the call that answers what follows. */
  readonly output_chars?: number
  readonly more?: string
}

/** At most `maxChars` characters from `offset` on; never half a character. */
export function cutOutput(
  sessionId: string,
  text: string | null,
  offset: number,
  maxChars: number,
): CutOutput {
  if (text === null) return { output: null }
  const end = wholeAt(text, offset + maxChars)
  const output = text.slice(wholeAt(text, offset), end).toWellFormed()
  if (end >= text.length) return offset === 0 ? { output } : { output, output_chars: text.length }
  return {
    output,
    output_chars: text.length,
    more: `check_session {"session_id": "${sessionId}", "offset": ${end}} goes on from here.`,
  }
}

/** The index, or the one before it where it is in the middle of a surrogate pair. */
function wholeAt(text: string, index: number): number {
  const code = text.charCodeAt(index)
  return code >= 0xdc00 && code <= 0xdfff ? index - 1 : index
}

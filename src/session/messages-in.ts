/**
 * Which messages a conversation has. The CLI notes each with the uuid that it was given with (measured with 2.1.329):
 * `"uuid"` of the line that began a turn, `"source_uuid"` or `"commandUuid"` of one that was steered into a turn. Inside
 * of a text the quotation marks are escaped, so no text can look like it.
 */

/** Longer than any match. */
const OVERLAP = 100

/** @param pieces the file, in order */
export async function messagesIn(
  pieces: AsyncIterable<Buffer>,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  const found = new Set<string>()
  let before = ''
  for await (const piece of pieces) {
    // All of it is ASCII, so bytes may be read as letters.
    const text = before + piece.toString('latin1')
    for (const id of ids) {
      if (found.has(id)) continue
      if (text.includes(`uuid":"${id}"`) || text.includes(`commandUuid":"${id}"`)) found.add(id)
    }
    if (found.size === ids.length) break
    before = text.slice(-OVERLAP)
  }
  return found
}

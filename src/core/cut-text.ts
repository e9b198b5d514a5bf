/** Text of others, made fit for a place of limited size: what is cut is counted and said. */

/** At most `limit` characters; a cut text ends with how long it was. Always well-formed Unicode. */
export function cutText(text: string, limit: number): string {
  if (text.length <= limit) return text.toWellFormed()
  const note = ` … [cut: ${text.length} characters in all]`
  return (text.slice(0, Math.max(0, limit - note.length)).toWellFormed() + note).slice(0, limit)
}

/** One line for a sentence: control characters (terminal escapes among them) and line breaks become spaces. */
export function quoteText(text: string, limit = 500): string {
  const line = text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ').trim()
  return cutText(line, limit)
}

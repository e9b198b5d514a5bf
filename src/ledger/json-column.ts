/** JSON columns that we wrote ourselves, read back. */

export function arrayOf(text: string): unknown[] {
  const value: unknown[] = JSON.parse(text)
  return value
}

export function stringsOf(text: string): string[] {
  const value: string[] = JSON.parse(text)
  return value
}

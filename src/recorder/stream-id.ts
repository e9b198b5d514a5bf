/** Stream ids: `<milliseconds>-<number>`, ordered by both as numbers. */

/** Negative, zero or positive, as `a` is before, at or after `b`. */
export function compareStreamIds(a: string, b: string): number {
  const [aTime, aNumber] = parts(a)
  const [bTime, bNumber] = parts(b)
  return aTime - bTime || aNumber - bNumber
}

/** Redis' time at which the entry was appended, in milliseconds. */
export function timeOf(streamId: string): number {
  return parts(streamId)[0]
}

function parts(streamId: string): [time: number, number: number] {
  const [time = '', number = '0'] = streamId.split('-')
  return [Number(time), Number(number)]
}

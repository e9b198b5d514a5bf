/** Work that must not overtake other work. */

/** Does the work of one key one after the other, in the order in which it was asked for, whatever becomes of each. */
export type InTurn = <T>(key: string, work: () => Promise<T>) => Promise<T>

/** Keeps nothing of a key that nobody works on. */
export function createTurns(): InTurn {
  const last = new Map<string, Promise<void>>()
  return async (key, work) => {
    const mine = (last.get(key) ?? Promise.resolve()).then(work)
    const over = mine.then(
      () => {},
      () => {},
    )
    last.set(key, over)
    try {
      return await mine
    } finally {
      if (last.get(key) === over) last.delete(key)
    }
  }
}

/**
 * Counts the entries of the stream that are recorded and not taken away yet: `{drover:<ns>}:kept`, from which everybody
 * knows how many are not recorded (`queue/backlog.ts`).
 *
 * A recorder begins with what the one before it said, adds what it records, takes off what it trims, and counts anew
 * whenever the stream has nothing more to read. Dying between a commit and saying so leaves the count one batch too
 * low, between a trim and saying so as much too high, until that next count. What is trimmed is said at once.
 */
export interface Kept {
  /** What the recorder before has said; too late where the stream was counted since. */
  begin(count: number): void
  recorded(entries: number): void
  trimmed(entries: number): void
  /** Everything is recorded: so many entries are there. */
  counted(length: number): void
  /** The stream is read from its beginning. */
  fromStart(): void
  /** Null before anything is known. */
  count(): number | null
}

export function createKept(): Kept {
  let base: number | null = null
  let since = 0
  const set = (count: number): void => {
    base = count
    since = 0
  }

  return {
    begin(count) {
      base ??= count
    },
    recorded(entries) {
      since += entries
    },
    trimmed(entries) {
      since -= entries
    },
    counted: set,
    fromStart: () => set(0),
    count: () => (base === null ? null : Math.max(0, base + since)),
  }
}

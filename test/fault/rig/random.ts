/**
 * Seeded randomness: mulberry32, so that a seed means the same on every machine. What a seed repeats is the schedule
 * and the inputs; the interleaving of real processes it does not.
 */

export interface Random {
  /** In [0, 1). */
  next(): number
  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number
  /** @throws where there is nothing to pick from */
  pick<T>(values: readonly T[]): T
  /** Randomness of its own for a purpose, so that one more use here does not shift the others. */
  stream(purpose: string): Random
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const integer = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1))
  return {
    next,
    integer,
    pick(values) {
      const value = values[integer(0, values.length - 1)]
      if (value === undefined) throw new Error('There is nothing to pick from.')
      return value
    },
    stream: (purpose) =>
      createRandom(Buffer.from(purpose).reduce((sum, byte) => Math.imul(sum, 31) + byte, seed)),
  }
}

/** In CI the same cases each time, so that a change is judged by itself. */
const CI_SEED = 20_261_121

/** The seed to run with: `DROVER_FAULT_SEED` to repeat a run, else a fresh one. */
export function chooseSeed(): number {
  const given = process.env['DROVER_FAULT_SEED']
  if (given !== undefined) return Number(given)
  return process.env['CI'] === 'true' ? CI_SEED : Math.floor(Math.random() * 2 ** 31)
}

import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createStreamCut } from '../../src/recorder/stream-cut.ts'
import { compareStreamIds, timeOf } from '../../src/recorder/stream-id.ts'

describe('the cut of the stream', () => {
  it('is nowhere before anything is recorded', () => {
    expect(createStreamCut().minId()).toBeNull()
  })

  it('keeps what is young, bounds what is many, and never passes what is recorded', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ entries: fc.integer({ min: 1, max: 40 }), pause: fc.nat({ max: 400 }) }), {
          minLength: 1,
        }),
        fc.integer({ min: 1, max: 60 }),
        (batches, keepEntries) => {
          const keepMs = 1000
          const cut = createStreamCut(keepMs, keepEntries)
          const stream: string[] = []
          let time = 1_700_000_000_000
          for (const { entries, pause } of batches) {
            time += pause + 1
            for (let n = 0; n < entries; n++) stream.push(`${time}-${n}`)
            const last = stream.at(-1) ?? ''
            cut.recorded(last, entries)
            const minId = cut.minId() ?? ''
            expect(compareStreamIds(minId, last)).toBeLessThanOrEqual(0)
            const kept = stream.filter((id) => compareStreamIds(id, minId) >= 0)
            // The entry at the cut itself stays too.
            expect(kept.length).toBeLessThanOrEqual(keepEntries + 1)
            const young = stream.filter((id) => timeOf(id) >= time - keepMs)
            expect(kept).toEqual(stream.length <= keepEntries ? young : young.slice(-kept.length))
            expect(kept).toContain(last)
          }
        },
      ),
    )
  })
})

describe('stream ids', () => {
  it('are ordered as numbers', () => {
    const ids = ['0-0', '9-1', '9-2', '9-10', '10-0', '1700000000000-0', '1700000000000-1']
    expect(ids.toReversed().toSorted(compareStreamIds)).toEqual(ids)
    expect(compareStreamIds('5-0', '5')).toBe(0)
    expect(timeOf('1700000000000-7')).toBe(1_700_000_000_000)
  })
})

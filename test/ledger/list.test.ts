import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, recordTexts, scriptedSession, pendingTask } from '../recorder/scripted-session.ts'
import { createTempLedger, type TempLedger } from './temp-ledger.ts'

let temp: TempLedger
beforeEach(() => {
  temp = createTempLedger()
})
afterEach(() => temp.remove())

function idsOf(query: Parameters<typeof temp.ledger.sessions.list>[0]): string[] {
  return temp.ledger.sessions.list(query).rows.map((row) => row.session_id)
}

describe('lists', () => {
  it('give every row once, newest first, whatever the size of the page', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 5 }), { maxLength: 30 }),
        fc.integer({ min: 1, max: 7 }),
        (seconds, limit) => {
          const own = createTempLedger()
          seconds.forEach((second, index) =>
            own.ledger.tables.sessions.ensure(`s${String(index).padStart(2, '0')}`, 'architect', at(second)),
          )
          const seen: string[] = []
          let cursor: string | undefined
          do {
            const page = own.ledger.sessions.list({ limit, ...(cursor === undefined ? {} : { cursor }) })
            expect(page.rows.length).toBeLessThanOrEqual(limit)
            seen.push(...page.rows.map((row) => `${row.created_at} ${row.session_id}`))
            cursor = page.nextCursor ?? undefined
          } while (cursor !== undefined)
          own.remove()
          expect(seen).toEqual([...new Set(seen)].toSorted().toReversed())
          expect(seen).toHaveLength(seconds.length)
        },
      ),
      { numRuns: 15 },
    )
  })

  it('filter by each column, and by several at once', () => {
    recordTexts(temp.ledger, [
      ...scriptedSession('a').accepted({ prompt: 'Draw the 100% plan_b' }).events,
      ...scriptedSession('b', 'code_developer').accepted({ prompt: 'Build it', task_id: 'TASK-1' }).events,
      ...scriptedSession('c', 'code_developer').accepted({ prompt: 'BUILD more' }).ended().events,
    ])
    temp.ledger.search.fill(100)
    expect(idsOf({ agentType: 'architect' })).toEqual(['a'])
    expect(idsOf({ taskId: 'TASK-1' })).toEqual(['b'])
    expect(idsOf({ status: 'completed' })).toEqual(['c'])
    expect(idsOf({ q: 'build' })).toEqual(['c', 'b'])
    expect(idsOf({ q: 'build', agentType: 'code_developer', status: 'queued' })).toEqual(['b'])
    expect(idsOf({ q: '100%' })).toEqual(['a'])
    expect(idsOf({ q: '%' })).toEqual(['a'])
    expect(idsOf({ q: 'n_b' })).toEqual(['a'])
    expect(idsOf({ q: 'nxb' })).toEqual([])
    expect(idsOf({ q: `' OR 1=1 --` })).toEqual([])
    expect(idsOf({ since: '2026-11-20T10:00:01Z' })).toEqual(['c', 'b', 'a'])
    expect(idsOf({ since: '2026-11-20T11:00:02+01:00' })).toEqual([])
    expect(idsOf({ since: '2026-11-20' })).toEqual(['c', 'b', 'a'])
  })

  it('refuse what cannot be, naming it', () => {
    for (const limit of [0, -1, 1.5, 201, Number.NaN]) {
      expect(() => idsOf({ limit })).toThrow(/limit: must be a whole number from 1 to 200/)
    }
    for (const cursor of [
      '',
      'x',
      Buffer.from('[1,2]').toString('base64url'),
      Buffer.from('{}').toString('base64url'),
      // Of the events.
      Buffer.from('["97","9007199254740991"]').toString('base64url'),
    ]) {
      expect(() => idsOf({ cursor })).toThrow(/cursor: is not the next_cursor of an earlier page/)
    }
    expect(() => idsOf({ since: 'yesterday' })).toThrow(/since: must be a time/)
  })

  it('cut long texts, where a page of one does not', () => {
    const long = 'ä'.repeat(50_000)
    const session = scriptedSession('a').accepted({ prompt: long, task_id: 'TASK-1' })
    recordTexts(temp.ledger, [
      pendingTask('TASK-1', [], { prompt: long }),
      ...session.ended({ output: long }).events,
    ])
    const [row] = temp.ledger.sessions.list().rows
    expect(row?.result).toBe(`${'ä'.repeat(2000)}…`)
    expect(row?.task_description).toHaveLength(2001)
    expect(temp.ledger.sessions.get('a')?.result).toBe(long)
    expect(temp.ledger.sessions.get('a')?.task_description).toMatch(/\[cut: 50000 characters in all\]$/)
    expect(temp.ledger.tasks.list().rows[0]?.prompt).toHaveLength(2001)
    expect(temp.ledger.tasks.get('TASK-1')?.prompt).toBe(long)
  })
})

/** `rebuild`: what is made again from the events is what was there. */
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { INDEX_TABLES, PROJECTION_TABLES, RECORD_TABLES } from '../../src/ledger/projections.ts'
import { prune } from '../../src/ledger/prune.ts'
import { rebuild } from '../../src/recorder/rebuild.ts'
import { createTempLedger, type TempLedger } from '../ledger/temp-ledger.ts'
import { mixedStream } from './mixed-stream.ts'
import { recordAll, scriptedSession } from './scripted-session.ts'

let temp: TempLedger
beforeEach(() => {
  temp = createTempLedger()
})
afterEach(() => temp.remove())

const IN_A_YEAR = { ...systemClock, now: () => new Date('2027-11-20T00:00:00.000Z') }

/** What is recorded and what is made of it; the searches are filled later. */
function dump(): Record<string, unknown[]> {
  return Object.fromEntries(Object.entries(temp.dump()).filter(([name]) => !name.includes('search')))
}

function change(sql: string): number {
  const db = new Database(temp.path)
  try {
    return db.prepare(sql).run().changes
  } finally {
    db.close()
  }
}

describe('rebuild', () => {
  it('knows of every table whether it is a record or made from the records', () => {
    const tables = temp
      .rows(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`)
      .map(({ name }) => String(name))
      .filter((name) => !/_search_/.test(name))
    const known = [...INDEX_TABLES, ...RECORD_TABLES, ...PROJECTION_TABLES.map(({ name }) => name)]
    expect(known.toSorted()).toEqual(tables)
  })

  it('gives the rows that recording gave: restarts, kills, late lines, tasks, faults', () => {
    recordAll(temp.ledger, mixedStream(), 7)
    const live = dump()
    expect(live['agent_sessions']?.length).toBeGreaterThan(5)
    temp.ledger.close()

    const done = rebuild(temp.path)
    expect(done.changed).toEqual(Object.fromEntries(PROJECTION_TABLES.map(({ name }) => [name, 0])))
    expect(done.events).toBe((live['session_event']?.length ?? 0) + (live['task_event']?.length ?? 0))
    expect(done.unprojected).toBeGreaterThan(0)
    expect(dump()).toEqual(live)
    expect(temp.rows('PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }])
    expect(temp.rows('PRAGMA foreign_key_check')).toEqual([])
  })

  it('keeps a session incomplete that runs and has a gap', () => {
    const agent = { agentId: 'architect-20261120-001', epoch: 100 }
    const { events } = scriptedSession('s1')
      .accepted()
      .spawned(agent)
      .line(agent, 'claude.assistant', {})
      .line(agent, 'claude.assistant', {})
    recordAll(temp.ledger, [...events.slice(0, 2), ...events.slice(3)], 50)
    const live = dump()
    expect(live['agent_sessions']).toMatchObject([{ incomplete: 1 }])
    temp.ledger.close()
    rebuild(temp.path)
    expect(dump()).toEqual(live)
  })

  it('repairs rows that somebody changed, and says how many', () => {
    recordAll(temp.ledger, mixedStream(), 50)
    const live = dump()
    temp.ledger.close()
    expect(
      change(`UPDATE agent_sessions SET estimated_cost_micros = 1 + estimated_cost_micros`),
    ).toBeGreaterThan(5)
    expect(change(`DELETE FROM agent_lifecycle_events`)).toBeGreaterThan(5)
    expect(change(`UPDATE orchestrator_task SET prompt = 'another'`)).toBeGreaterThan(0)

    const { changed } = rebuild(temp.path)
    expect(changed).toMatchObject({
      agent_sessions: live['agent_sessions']?.length,
      agent_lifecycle_events: live['agent_lifecycle_events']?.length,
      claude_invocations: 0,
    })
    expect(dump()).toEqual(live)
  })

  it('keeps the rows of sessions whose raw lines are gone', async () => {
    recordAll(temp.ledger, mixedStream(), 50)
    await prune(temp.ledger, { retentionDays: 1, maxSizeMb: 0 }, { pauseMs: 0, clock: IN_A_YEAR })
    const pruned = dump()
    expect(temp.rows('SELECT count(*) AS n FROM agent_sessions WHERE pruned_at IS NOT NULL')).not.toEqual([
      { n: 0 },
    ])
    temp.ledger.close()
    const done = rebuild(temp.path)
    expect(done.kept).toBeGreaterThan(0)
    expect(dump()).toEqual(pruned)
  })

  it('refuses while a recorder has the ledger, and one that would start waits for its end', () => {
    expect(() => rebuild(temp.path)).toThrow(/in use by a running board or recorder/)
  })

  it('leaves everything as it was where it fails half way', () => {
    recordAll(temp.ledger, mixedStream(), 50)
    const live = dump()
    temp.ledger.close()
    // A row that nothing can be projected over: the parent of a row that is no projection of ours.
    change(`CREATE TRIGGER stop BEFORE INSERT ON orchestrator_task BEGIN SELECT RAISE(ROLLBACK, 'stop'); END`)
    expect(() => rebuild(temp.path)).toThrow('stop')
    change('DROP TRIGGER stop')
    expect(dump()).toEqual(live)
  })
})

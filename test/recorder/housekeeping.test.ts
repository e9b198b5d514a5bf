/** What the recorder's process does for the file: check, backup, retention. */
import { mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { splitEvent } from '../../src/core/envelope.ts'
import { createLinesDigest } from '../../src/core/lines-digest.ts'
import { checkLines } from '../../src/ledger/check-lines.ts'
import { prune } from '../../src/ledger/prune.ts'
import {
  createHousekeeping,
  type Housekeeping,
  type HousekeepingParts,
} from '../../src/recorder/housekeeping.ts'
import { createAlarms } from '../../src/telemetry/alarms.ts'
import { createTempLedger, damageIndex, type TempLedger } from '../ledger/temp-ledger.ts'
import { until } from '../support/until.ts'
import { recordTexts, scriptedSession } from './scripted-session.ts'

/** The scripted sessions ended long before. */
const IN_A_YEAR = { ...systemClock, now: () => new Date('2027-11-20T00:00:00.000Z') }

let temp: TempLedger
let housekeeping: Housekeeping | null = null
beforeEach(() => {
  temp = createTempLedger()
})
afterEach(async () => {
  await housekeeping?.stop()
  temp.remove()
})

function record(id: string, lines: number, ended = true, estimated = false): void {
  const number = id.charCodeAt(0)
  const agent = { agentId: `architect-20261120-${number}`, epoch: number }
  const session = scriptedSession(id).accepted().spawned(agent).started(agent)
  for (let line = 0; line < lines; line++) {
    session.line(agent, 'claude.assistant', {
      type: 'assistant',
      message: {
        id: `msg-${line}`,
        model: 'claude-opus-5-5',
        content: [{ type: 'text', text: `word${id} ${'x'.repeat(500)}` }],
        usage: { input_tokens: 1, output_tokens: 1 },
      },
    })
  }
  if (!estimated) session.result(agent, { output: 3, usd: 0.000007 })
  if (ended) session.exited(agent).closed(agent).ended()
  recordTexts(temp.ledger, session.events)
}

const linesOf = (id: string): unknown =>
  temp.rows(
    `SELECT count(*) AS n FROM session_event WHERE session_id = ? AND line IS NOT NULL AND type NOT LIKE 'claude.result%'`,
    id,
  )[0]?.['n']

describe('retention', () => {
  it('is not undone by a stream that is read again', async () => {
    const agent = { agentId: 'architect-20261120-001', epoch: 1 }
    const session = scriptedSession('s').accepted().spawned(agent).started(agent)
    for (let line = 0; line < 5; line++) session.line(agent, 'claude.assistant', { line })
    const digest = createLinesDigest()
    for (const { header, payloadText } of session.events.map(splitEvent))
      if (header.line !== null) digest.add(header.line, payloadText)
    session.exited(agent).closed(agent, { lines_digest: digest.hex() }).ended()
    // The first time without one of its lines, which comes later.
    recordTexts(temp.ledger, session.events.toSpliced(4, 1))
    await prune(temp.ledger, { retentionDays: 30, maxSizeMb: 0 }, { pauseMs: 0, clock: IN_A_YEAR })
    expect(recordTexts(temp.ledger, session.events).alarms).toEqual([])
    expect(linesOf('s')).toBe(1)
    expect(temp.ledger.sessions.get('s')?.incomplete).toBe(false)
    expect(temp.ledger.gaps.ofSession('s')).toEqual([])
    // Nor does a Redis that is written back ask for them.
    expect(temp.ledger.restorable.session('s')?.agents).toMatchObject([{ line: 5 }])
  })

  it('takes the raw lines of ended sessions, and nothing else', async () => {
    record('a', 700)
    record('b', 20, false)
    record('c', 30, true, true)
    record('d', 1)
    while (temp.ledger.search.fill(1000) > 0);
    expect(temp.ledger.searchSaid({ q: 'worda' }).rows.length).toBeGreaterThan(0)
    const before = temp.ledger.sessions.get('a')

    const done = await prune(
      temp.ledger,
      { retentionDays: 30, maxSizeMb: 0 },
      { pauseMs: 0, clock: IN_A_YEAR },
    )
    expect(done).toEqual({ sessions: 3, lines: 701 })
    expect([linesOf('a'), linesOf('b')]).toEqual([0, 20])
    // The estimate of its cost is made from them.
    expect(linesOf('c')).toBe(30)
    expect(temp.ledger.sessions.get('a')).toEqual({ ...before, pruned_at: '2027-11-20T00:00:00.000Z' })
    expect(temp.ledger.sessions.get('b')?.pruned_at).toBeNull()
    expect(temp.ledger.events.page('a', 0, 100).ended).toBe(true)
    expect(temp.ledger.searchSaid({ q: 'worda' }).rows).toEqual([])
    expect(temp.rows('PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }])
    // A late word of its agent is no gap: the numbers go on.
    expect(await prune(temp.ledger, { retentionDays: 30, maxSizeMb: 0 }, { clock: IN_A_YEAR })).toEqual({
      sessions: 0,
      lines: 0,
    })
  })

  it('that is cut off takes nothing for altered, and goes on there the next time', async () => {
    record('a', 700)
    const cut = new AbortController()
    const options = { signal: cut.signal, pauseMs: 60_000, clock: IN_A_YEAR }
    const running = prune(temp.ledger, { retentionDays: 30, maxSizeMb: 0 }, options)
    cut.abort()
    expect(await running).toMatchObject({ sessions: 0 })
    expect(linesOf('a')).toBeGreaterThan(0)
    expect(linesOf('a')).toBeLessThan(700)
    expect(await checkLines(temp.path, () => {})).toMatchObject({ changed: [], unverifiable: 1 })
    await prune(temp.ledger, { retentionDays: 30, maxSizeMb: 0 }, { pauseMs: 0, clock: IN_A_YEAR })
    expect(linesOf('a')).toBe(0)
  })

  it('by size takes the oldest first, and no more than it must', async () => {
    for (const id of ['a', 'b', 'c', 'd']) record(id, 1500)
    const { usedBytes } = temp.ledger.retention.size()
    const maxSizeMb = Math.floor((usedBytes * 0.8) / 1024 / 1024)
    await prune(temp.ledger, { retentionDays: 0, maxSizeMb }, { pauseMs: 0, clock: IN_A_YEAR })
    expect(temp.ledger.retention.size().usedBytes).toBeLessThanOrEqual(maxSizeMb * 1024 * 1024)
    expect(linesOf('a')).toBe(0)
    expect(linesOf('d')).toBe(1500)
  })

  it('is off where nothing is asked for', async () => {
    record('a', 5)
    expect(await prune(temp.ledger, { retentionDays: 0, maxSizeMb: 0 }, { clock: IN_A_YEAR })).toEqual({
      sessions: 0,
      lines: 0,
    })
  })
})

describe('housekeeping', () => {
  function open(backupKeep: number, more: Partial<HousekeepingParts> = {}) {
    const said: string[] = []
    const log = {
      info: (_: unknown, text?: string) => said.push(String(text)),
      warn: () => {},
      error: () => {},
    }
    const alarms = createAlarms(log)
    const kept = createHousekeeping({
      ledger: temp.ledger,
      limits: { retentionDays: 30, maxSizeMb: 0 },
      backupKeep,
      recording: () => true,
      onDamage: (problem) => temp.ledger.condemn(problem),
      alarms,
      log,
      firstAfterMs: 10,
      everyMs: 1200,
      clock: { ...systemClock, now: () => new Date(Date.now() + 365 * 86_400_000) },
      ...more,
    })
    housekeeping = kept
    return { kept, alarms, said }
  }

  it('keeps so many backups, and takes lines away', async () => {
    record('a', 10)
    const dir = join(temp.dir, 'backups')
    mkdirSync(dir)
    const parts = [
      'orchestrator-20261120T000000Z.db.00000001.part',
      'orchestrator-20271120T000000Z-2.db.00000002.part',
      'mine.part',
    ]
    for (const name of parts) writeFileSync(join(dir, name), '')
    const inTheFuture = new Date(Date.now() + 365 * 86_400_000)
    utimesSync(join(dir, parts[1] ?? ''), inTheFuture, inTheFuture)
    const { kept, said } = open(2)
    kept.start(null)
    const backups = (): string[] => readdirSync(dir).filter((name) => name.endsWith('.db'))
    await until(() => backups().length === 1 && linesOf('a') === 0)
    const [first = ''] = backups()
    expect(said.filter((text) => text.includes('checked'))).toHaveLength(1)
    // One that was killed long ago is gone.
    expect(readdirSync(dir)).toEqual(expect.arrayContaining(parts.slice(1)))
    expect(readdirSync(dir)).not.toContain(parts[0])
    await until(() => backups().length === 2 && !backups().includes(first), { timeoutMs: 15_000 })
    expect(linesOf('a')).toBe(0)
  })

  it('makes up soon for what failed, and for what was another board’s to do', async () => {
    record('a', 10)
    const dir = join(temp.dir, 'backups')
    // A file where the directory belongs.
    writeFileSync(dir, '')
    let records = false
    let looks = 0
    const recording = (): boolean => {
      looks += 1
      return records
    }
    const { kept, said } = open(1, { recording, retryMs: 20, everyMs: 3_600_000 })
    kept.start(null)
    await until(() => looks > 1)
    records = true
    await until(() => linesOf('a') === 0)
    rmSync(dir)
    await until(() => said.includes('The ledger was backed up.'), { timeoutMs: 10_000 })
    expect(said.filter((text) => text.includes('checked'))).toHaveLength(1)
  })

  it('raises an alarm for totals that disagree, and takes it back', async () => {
    record('a', 1)
    const change = (by: number): void => {
      const db = new Database(temp.path)
      db.exec(`UPDATE agent_sessions SET output_tokens = output_tokens + ${by}`)
      db.close()
    }
    change(1)
    const { kept, alarms } = open(0)
    kept.start(null)
    await until(() => alarms.list().some(({ name }) => name === 'ledger_totals'))
    change(-1)
    await until(() => alarms.list().length === 0, { timeoutMs: 10_000 })
    expect(temp.ledger.trouble()).toBeNull()
  })

  it('ends writing and answering of a damaged file', async () => {
    for (const id of ['a', 'b', 'c']) record(id, 100)
    damageIndex(temp.path)
    const { kept, alarms } = open(1)
    kept.start(null)
    await until(() => alarms.list().some(({ name }) => name === 'ledger_damaged'))
    expect(() => temp.ledger.search.fill(10)).toThrow(/is damaged/)
    expect(() => temp.ledger.transaction(() => 1)).toThrow(/damaged .*drover ledger restore/)
    expect(() => temp.ledger.sessions.get('a')).toThrow(/damaged/)
    await kept.stop()
    expect(readdirSync(temp.dir)).not.toContain('backups')
  })
})

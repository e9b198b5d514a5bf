/** Damage of all sorts: it is refused or said, or it was in no number. Never a wrong number in silence. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isDroverError } from '../../src/core/errors.ts'
import { checkAtStart } from '../../src/ledger/check-at-start.ts'
import { checkFile } from '../../src/ledger/check.ts'
import { checkLines } from '../../src/ledger/check-lines.ts'
import { checkAside } from '../../src/ledger/chore.ts'
import { openLedgerReader } from '../../src/ledger/open.ts'
import { createRandom } from '../fault/rig/random.ts'
import { mixedStream } from '../recorder/mixed-stream.ts'
import { recordAll, recordTexts, scriptedSession } from '../recorder/scripted-session.ts'
import { createTempLedger, type TempLedger } from './temp-ledger.ts'

let temp: TempLedger
beforeEach(() => {
  temp = createTempLedger()
  recordAll(temp.ledger, mixedStream(), 50)
})
afterEach(() => temp.remove())

describe('checkFile', () => {
  it('finds a sound ledger sound, also from a process of its own', async () => {
    expect(checkFile(temp.path)).toMatchObject({ damage: [], totals: [] })
    const aside = await checkAside(temp.path, new AbortController().signal)
    expect(aside).toMatchObject({ damage: [], totals: [] })
    expect(aside.bytes).toBeGreaterThanOrEqual(4096)
  })

  it('names the sessions whose totals are others than what is noted by model', () => {
    const db = new Database(temp.path)
    db.exec(`UPDATE agent_sessions SET output_tokens = output_tokens + 1 WHERE session_id = 'plain'`)
    db.exec(`UPDATE claude_invocations SET cost_micros = cost_micros + 1 WHERE session_id = 'restarted'`)
    db.close()
    const { damage, totals } = checkFile(temp.path)
    expect(damage).toEqual([])
    expect(new Set(totals)).toEqual(new Set(['plain', 'restarted']))
  })

  it('takes totals for sound that stop where an agent claimed more than there is', () => {
    const agent = { agentId: 'architect-20261120-900', epoch: 900 }
    const claimed = Object.fromEntries(
      Array.from({ length: 64 }, (_, n) => [`model-${n}`, { inputTokens: 1, costUSD: 100_000 }]),
    )
    const result = { type: 'result', is_error: false, model_usage_since_last_result: claimed }
    const session = scriptedSession('greedy').accepted().spawned(agent)
    session.line(agent, 'claude.result.success', result).line(agent, 'claude.result.success', result)
    recordTexts(temp.ledger, session.events)
    expect(temp.ledger.sessions.get('greedy')?.estimated_cost_usd).toBe(9_000_000)
    expect(checkFile(temp.path)).toMatchObject({ damage: [], totals: [] })
  })

  it('rejects for a file that is not there, and ends with its signal', async () => {
    await expect(checkAside(join(temp.dir, 'none.db'), new AbortController().signal)).rejects.toThrow(
      'none.db',
    )
    await expect(checkAside(temp.path, AbortSignal.abort())).rejects.toThrow(/abort/i)
  })
})

describe('checkLines', () => {
  it('finds every line as it was recorded, and says which agents have lost lines before', async () => {
    const shares: number[] = []
    const found = await checkLines(temp.path, (share) => shares.push(share))
    expect(found).toMatchObject({ unverifiable: 0, changed: [] })
    expect(found?.agents).toBe((found?.verified ?? 0) + (found?.incomplete ?? 0))
    expect(found?.verified).toBeGreaterThan(3)
    expect(shares.every((share) => share >= 0 && share <= 1)).toBe(true)
  })

  it('names the agents whose lines were altered, taken away or added since', async () => {
    const agents = ['altered', 'missing', 'added', 'pruned'].map((name, n) => {
      const agent = { agentId: `architect-20261120-90${n}`, epoch: 900 + n }
      const session = scriptedSession(name).accepted().spawned(agent)
      session
        .line(agent, 'claude.assistant', { text: 'one' })
        .line(agent, 'claude.assistant', { text: 'two' })
      recordTexts(temp.ledger, session.events)
      return agent.agentId
    })
    const [altered, missing, added, pruned] = agents
    const db = new Database(temp.path)
    db.prepare(
      `UPDATE session_event SET payload = replace(payload, 'two', 'too') WHERE agent_id = ? AND line = 2`,
    ).run(altered)
    db.prepare('DELETE FROM session_event WHERE agent_id IN (?, ?) AND line = 1').run(missing, pruned)
    db.prepare(
      `INSERT INTO session_event (session_id, seq, agent_id, agent_type, epoch, line, ts, type, payload)
       SELECT session_id, 99, agent_id, agent_type, epoch, 3, ts, type, payload FROM session_event
       WHERE agent_id = ? AND line = 2`,
    ).run(added)
    db.exec(`UPDATE agent_sessions SET pruned_at = '2026-11-21T00:00:00.000Z' WHERE session_id = 'pruned'`)
    db.close()

    const found = await checkLines(temp.path, () => {})
    expect(found?.changed).toEqual([
      { agent_id: altered, session_id: 'altered', problem: 'altered', lines: 2, recorded_lines: 2 },
      { agent_id: missing, session_id: 'missing', problem: 'missing', lines: 1, recorded_lines: 2 },
      { agent_id: added, session_id: 'added', problem: 'added', lines: 3, recorded_lines: 2 },
    ])
    expect(found?.unverifiable).toBe(1)
  })
})

/** Every number that lists, pages and bills are made from. */
function numbers(path: string): unknown {
  const reader = openLedgerReader(path)
  try {
    const sessions = reader.sessions.list({ limit: 200 }).rows
    return {
      sessions: sessions.map((row) => [
        row.session_id,
        row.status,
        row.input_tokens,
        row.output_tokens,
        row.cache_read_tokens,
        row.cache_creation_tokens,
        row.estimated_cost_usd,
      ]),
      agents: reader.agents.list({ limit: 200 }).rows.map(({ agent_id, status }) => [agent_id, status]),
      tasks: reader.tasks.list({ limit: 200 }).rows.map(({ task_id, status }) => [task_id, status]),
      cost: reader.cost('agent_type').total,
    }
  } finally {
    reader.close()
  }
}

describe('flipped bytes', () => {
  it('never give a wrong number in silence, and are never written over', () => {
    for (let n = 0; n < 60; n++) {
      const agent = { agentId: `architect-20261120-${100 + n}`, epoch: 100 + n }
      recordTexts(
        temp.ledger,
        scriptedSession(`more-${n}`)
          .accepted()
          .spawned(agent)
          .started(agent)
          .result(agent, { input: 1000 + n, output: 500 + n, usd: 0.01 * n })
          .exited(agent)
          .closed(agent)
          .ended().events,
      )
    }
    temp.ledger.close()
    const good = readFileSync(temp.path)
    const truth = numbers(temp.path)
    const outcomes = { refused: 0, alarmed: 0, unharmed: 0 }
    for (let seed = 1; seed <= 80; seed++) {
      const random = createRandom(seed)
      const bytes = Buffer.from(good)
      const where = random.pick(['anywhere', 'anywhere', 'header', 'page'])
      const page = random.integer(0, bytes.length / 4096 - 1) * 4096
      for (let flips = random.integer(1, 16); flips > 0; flips--) {
        const at =
          where === 'header'
            ? random.integer(0, 99)
            : where === 'page'
              ? page + random.integer(0, 99)
              : random.integer(0, bytes.length - 1)
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random.integer(0, 7))
      }
      const path = join(temp.dir, `flipped-${seed}.db`)
      writeFileSync(path, bytes)
      const outcome = judge(path, truth)
      expect({ seed, outcome }).not.toMatchObject({ outcome: 'silent' })
      if (outcome !== 'silent') outcomes[outcome] += 1
      expect(readFileSync(path).equals(bytes)).toBe(true)
    }
    // Each of them must have happened, or the test shows nothing.
    expect(outcomes.refused).toBeGreaterThan(20)
    expect(outcomes.unharmed).toBeGreaterThan(5)
  })
})

function judge(path: string, truth: unknown): 'refused' | 'alarmed' | 'unharmed' | 'silent' {
  try {
    const found = checkAtStart(path)
    if (found !== null && found.totals.length > 0) return 'alarmed'
    return JSON.stringify(numbers(path)) === JSON.stringify(truth) ? 'unharmed' : 'silent'
  } catch (error) {
    if (!isDroverError(error) || error.code !== 'ledger_unavailable') throw error
    expect(error.message).toContain(path)
    return 'refused'
  }
}

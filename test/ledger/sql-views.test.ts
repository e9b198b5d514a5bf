/** What people ask the file itself, with nothing but SQL. */
import { execFileSync } from 'node:child_process'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CostBy } from '../../src/core/request.ts'
import { pendingTask, recordTexts, scriptedSession } from '../recorder/scripted-session.ts'
import { createTempLedger, type TempLedger } from './temp-ledger.ts'

const FIRST = { agentId: 'architect-20261120-001', epoch: 1 }
const SECOND = { agentId: 'code-developer-20261120-001', epoch: 2 }

let temp: TempLedger
beforeAll(() => {
  temp = createTempLedger()
  const done = scriptedSession('s-done')
    .accepted({ task_id: 'TASK-1' })
    .spawned(FIRST)
    .line(FIRST, 'claude.assistant', {
      type: 'assistant',
      message: {
        content: [
          { type: 'text', text: 'I write it.' },
          { type: 'tool_use', name: 'Write', input: { file_path: 'SPEC.md' } },
        ],
      },
    })
    .line(FIRST, 'claude.user', { type: 'user', message: { role: 'user', content: 'a plain text' } })
    .line(FIRST, 'claude.unparsed', { raw: 'not json' })
    .started(FIRST)
    .result(FIRST, { input: 100, output: 20, usd: 0.25, text: 'The spec is there.' })
    .exited(FIRST)
    .closed(FIRST)
    .ended({
      output: 'The spec is there.',
      cost_micros: 250_000,
      usage: { input_tokens: 100, output_tokens: 20, cache_read_tokens: 0, cache_creation_tokens: 0 },
    })
  const live = scriptedSession('s-live', 'code_developer').accepted().spawned(SECOND).started(SECOND)
  const waiting = scriptedSession('s-waiting', 'code_developer').accepted()
  recordTexts(temp.ledger, [
    pendingTask('TASK-1', [], { priority_number: 7 }),
    pendingTask('TASK-2', ['TASK-1'], { priority_number: 7 }),
    ...done.events,
    ...live.events,
    ...waiting.events,
  ])
})
afterAll(() => temp.remove())

/** With the sqlite3 program where it is installed, as a user would. */
function query(file: string, sql: string): string[] {
  try {
    return execFileSync('sqlite3', [`${temp.dir}/${file}`, sql], { encoding: 'utf8' })
      .trim()
      .split('\n')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    const db = new Database(`${temp.dir}/${file}`, { readonly: true })
    const rows = db.prepare<[], (string | number | null)[]>(sql).raw().all()
    db.close()
    return rows.map((row) => row.map((value) => value ?? '').join('|'))
  }
}

describe('the verification queries of the source documents', () => {
  it('work as they stand', () => {
    const agents = query('orchestrator.db', 'SELECT * FROM agent_lifecycle ORDER BY spawned_at DESC LIMIT 5')
    expect(agents).toHaveLength(2)
    expect(agents.toSorted()[0]).toContain(
      'architect-20261120-001|architect|completed|s-done|TASK-1|4711|pod-1|1|',
    )
    const invocations = query(
      'claude_invocations.db',
      'SELECT agent_type, status, duration_ms FROM claude_invocations ORDER BY invoked_at DESC LIMIT 5',
    )
    expect(invocations.toSorted()).toEqual(['architect|completed|6000', 'code_developer|running|'])
  })
})

describe('the file', () => {
  it('is sound, also for the sqlite3 program of the system', () => {
    expect(query('orchestrator.db', 'PRAGMA integrity_check')).toEqual(['ok'])
    expect(query('orchestrator.db', 'PRAGMA foreign_key_check')).toEqual([''])
  })

  it.each([
    'active_agents',
    'agent_bottlenecks',
    'agent_velocity',
    'claude_stream_messages',
    'cost_by_day',
    'priority_timeline',
  ])('answers for %s, also to that program', (view) => {
    expect(query('orchestrator.db', `SELECT * FROM ${view} LIMIT 1`)[0]).toContain('|')
  })
})

describe('the views', () => {
  it('claude_stream_messages shows each line once, readable and verbatim', () => {
    const messages = temp.rows('SELECT * FROM claude_stream_messages ORDER BY invocation_id, sequence')
    expect(
      messages.map(({ invocation_id, sequence, message_type }) => [invocation_id, sequence, message_type]),
    ).toEqual([
      [FIRST.agentId, 1, 'assistant'],
      [FIRST.agentId, 2, 'user'],
      [FIRST.agentId, 3, 'unparsed'],
      [FIRST.agentId, 4, 'result.success'],
    ])
    expect(messages.map(({ text }) => text)).toEqual([
      'I write it.\nWrite {"file_path":"SPEC.md"}',
      'a plain text',
      'not json',
      'The spec is there.',
    ])
    expect(messages[2]?.content).toBe('not json')
    expect(JSON.parse(String(messages[3]?.content))).toMatchObject({ result: 'The spec is there.' })
    expect(JSON.parse(String(messages[3]?.metadata))).toMatchObject({ late: 0 })
    expect(messages.every(({ timestamp }) => /^2026-11-20T10:00:\d\d\.000Z$/.test(String(timestamp)))).toBe(
      true,
    )
  })

  it('active_agents shows who runs', () => {
    const [agent, ...others] = temp.rows('SELECT * FROM active_agents')
    expect(others).toEqual([])
    expect(agent).toMatchObject({ agent_id: SECOND.agentId, status: 'running', session_status: 'running' })
    expect(agent?.elapsed_seconds).toBeTypeOf('number')
  })

  it('agent_velocity, agent_bottlenecks, priority_timeline and cost_by_day add up', () => {
    expect(temp.rows('SELECT * FROM agent_velocity')).toMatchObject([
      {
        agent_type: 'architect',
        sessions: 1,
        completed: 1,
        failed: 0,
        success_percent: 100,
        average_cost_usd: 0.25,
      },
    ])
    expect(temp.rows('SELECT * FROM agent_bottlenecks ORDER BY agent_type')).toMatchObject([
      { agent_type: 'architect', queued: 0, active: 0, failed: 0, stalled: 0, timed_out: 0, incomplete: 0 },
      { agent_type: 'code_developer', queued: 1, active: 1, oldest_queued_at: '2026-11-20T10:00:01.000Z' },
    ])
    expect(temp.rows('SELECT * FROM priority_timeline')).toMatchObject([
      { priority_number: 7, tasks: 2, completed: 1, waiting: 1, completed_at: null },
    ])
    expect(temp.rows('SELECT * FROM cost_by_day ORDER BY agent_type')).toMatchObject([
      {
        day: '2026-11-20',
        agent_type: 'architect',
        sessions: 1,
        input_tokens: 100,
        cost_usd: 0.25,
        estimated: 0,
      },
      { day: '2026-11-20', agent_type: 'code_developer', sessions: 2, cost_usd: 0 },
    ])
  })

  it('cost answers the same by every key', () => {
    for (const by of ['agent_type', 'day', 'task', 'session'] as const) {
      const report = temp.ledger.cost(by)
      expect(report.total).toMatchObject({
        sessions: 3,
        input_tokens: 100,
        output_tokens: 20,
        cost_usd: 0.25,
      })
      expect(report.rows.reduce((sum, row) => sum + row.cost_usd, 0)).toBe(0.25)
    }
    expect(temp.ledger.cost('task').rows.map((row) => row.key)).toEqual(['TASK-1', null])
    expect(temp.ledger.cost('agent_type', { since: '2026-11-21' }).total).toMatchObject({
      sessions: 0,
      cost_usd: 0,
    })
    expect(() => temp.ledger.cost('day', { since: 'x' })).toThrow(/since: must be a time/)
  })
})

describe('a cost report over days', () => {
  let spent: TempLedger
  beforeAll(() => {
    spent = createTempLedger()
    const types = ['architect', 'code_developer', 'code_reviewer']
    const texts = [...Array(24).keys()].flatMap((n) => {
      const agent = { agentId: `a-${n}`, epoch: n + 1 }
      const startedAt = new Date(Date.UTC(2026, 10, 20, 9 * n)).toISOString()
      return scriptedSession(`s-${n}`, types[n % 3])
        .accepted()
        .spawned(agent)
        .started(agent, { started_at: startedAt })
        .result(agent, { input: 10 + n, output: 1, usd: (n + 1) / 1000 }).events
    })
    recordTexts(spent.ledger, texts)
  })
  afterAll(() => spent.remove())

  /** All rows, two at a time. */
  function inPages(by: CostBy, since: string | undefined): unknown[] {
    const rows: unknown[] = []
    for (let cursor: string | null | undefined; cursor !== null;) {
      const asked = { limit: 2, ...(since === undefined ? {} : { since }), ...(cursor ? { cursor } : {}) }
      const page = spent.ledger.cost(by, asked)
      rows.push(...page.rows)
      expect(page.next_cursor === null, by).toBe(page.rows_omitted === 0)
      cursor = page.next_cursor
    }
    return rows
  }

  it('a cursor is one of its own grouping', () => {
    const { next_cursor: cursor } = spent.ledger.cost('session', { limit: 1 })
    expect(() => spent.ledger.cost('tree', { cursor: cursor ?? '' })).toThrow(
      'cursor: is not the next_cursor',
    )
  })

  it.each([
    ['of all time', undefined, 0],
    ['from the middle of a day', '2026-11-22T10:00:00.000Z', 7],
    ['from the beginning of a day', '2026-11-23', 8],
  ])('%s has every session from there once, whatever it is grouped by', (_, since, first) => {
    const sessions = [...Array(24).keys()].slice(first)
    const total = {
      sessions: sessions.length,
      input_tokens: sessions.reduce((sum, n) => sum + 10 + n, 0),
      output_tokens: sessions.length,
    }
    for (const by of ['agent_type', 'day', 'task', 'session', 'tree', 'model'] as const) {
      const whole = spent.ledger.cost(by, since === undefined ? {} : { since })
      expect(whole.total, by).toMatchObject(total)
      expect(whole.total.cost_usd, by).toBeCloseTo(
        sessions.reduce((sum, n) => sum + (n + 1) / 1000, 0),
        6,
      )
      expect(
        whole.rows.reduce((sum, row) => sum + row.sessions, 0),
        by,
      ).toBe(total.sessions)
      // What is not listed is in the total all the same.
      const cut = spent.ledger.cost(by, { limit: 1, ...(since === undefined ? {} : { since }) })
      expect(cut.total, by).toEqual(whole.total)
      expect(cut.rows_omitted, by).toBe(whole.rows.length - 1)
      expect(inPages(by, since), by).toEqual(whole.rows)
    }
    const days = spent.ledger.cost('day', since === undefined ? {} : { since }).rows
    expect(days[0]?.key).toBe((since ?? '2026-11-20').slice(0, 10))
    expect(days.at(-1)).toMatchObject({ key: '2026-11-28', sessions: 2, input_tokens: 32 + 33 })
  })

  it('by type and day goes by an index alone: no session is read or sorted', () => {
    const plan = spent.rows(
      `EXPLAIN QUERY PLAN SELECT substr(coalesce(started_at, created_at), 1, 10), agent_type, sum(cost_nanos)
       FROM agent_sessions INDEXED BY agent_sessions_spent GROUP BY 1, 2`,
    )
    expect(plan.map(({ detail }) => detail)).toEqual([
      'SCAN agent_sessions USING COVERING INDEX agent_sessions_spent',
    ])
  })
})

describe('the rules in the file', () => {
  const refused = (sql: string): string => {
    const db = new Database(temp.path)
    try {
      db.exec(sql)
      return 'done'
    } catch (error) {
      return String(error)
    } finally {
      db.close()
    }
  }

  it('keep the state of what has ended, and let late cost in', () => {
    expect(refused(`UPDATE agent_sessions SET status = 'running' WHERE session_id = 's-done'`)).toMatch(
      /a session that has ended keeps its state/,
    )
    expect(
      refused(`UPDATE agent_lifecycle SET status = 'running' WHERE agent_id = '${FIRST.agentId}'`),
    ).toMatch(/an agent that has ended keeps its state/)
    expect(
      refused(`UPDATE agent_sessions SET estimated_cost_micros = 250000 WHERE session_id = 's-done'`),
    ).toBe('done')
  })

  it('refuse unknown states, wrong types and broken JSON', () => {
    expect(refused(`UPDATE agent_sessions SET status = 'odd' WHERE session_id = 's-live'`)).toMatch(/CHECK/)
    expect(refused(`UPDATE orchestrator_task SET status = 'odd'`)).toMatch(/CHECK/)
    expect(refused(`UPDATE agent_sessions SET restarts = 'many'`)).toMatch(/cannot store TEXT/)
    expect(refused(`UPDATE agent_sessions SET permission_denials = '[' WHERE session_id = 's-live'`)).toMatch(
      /CHECK/,
    )
  })
})

/** Full-text search and the list of all events: what is found, in which order, whatever is asked. */
import Database from 'better-sqlite3'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseEvent } from '../../src/core/envelope.ts'
import type { SaidFilter } from '../../src/ledger/ledger.ts'
import { at, recordTexts, scriptedSession, pendingTask } from '../recorder/scripted-session.ts'
import { createTempLedger, type TempLedger } from './temp-ledger.ts'

const FIRST = { agentId: 'architect-20261120-001', epoch: 1 }
const SECOND = { agentId: 'code-developer-20261120-001', epoch: 2 }

let temp: TempLedger
beforeEach(() => {
  temp = createTempLedger()
})
afterEach(() => temp.remove())

function record(...texts: readonly string[]): void {
  recordTexts(temp.ledger, texts)
  expect(temp.ledger.search.fill(100_000)).toBe(0)
}

function says(...blocks: readonly object[]): object {
  return { type: 'assistant', message: { role: 'assistant', content: blocks } }
}

function places(filter: SaidFilter): string[] {
  return temp.ledger.searchSaid(filter).rows.map((hit) => `${hit.session_id}:${hit.seq}`)
}

/** A session that says each text in a line of its own, from `seq` 2 on. */
function talk(id: string, texts: readonly string[], agent = FIRST): readonly string[] {
  const session = scriptedSession(id, agent === FIRST ? 'architect' : 'code_developer').accepted({
    prompt: 'Go',
  })
  for (const text of texts) session.line(agent, 'claude.assistant', says({ type: 'text', text }))
  return session.events
}

describe('search over what was said', () => {
  beforeEach(() => {
    const a = scriptedSession('a')
      .accepted({ prompt: 'Plan the Überblick of 2026' })
      .spawned(FIRST)
      .line(FIRST, 'claude.assistant', says({ type: 'text', text: 'The lease decides, not the queue.' }))
      .line(FIRST, 'claude.assistant', says({ type: 'thinking', thinking: 'Maybe a deadline?' }))
      .line(
        FIRST,
        'claude.assistant',
        says({ type: 'tool_use', name: 'Bash', input: { command: 'ls src/queue' } }),
      )
      .line(FIRST, 'claude.user', {
        message: { content: [{ type: 'tool_result', content: [{ type: 'text', text: 'lease.ts' }] }] },
      })
      .line(FIRST, 'claude.user', {
        message: { content: [{ type: 'tool_result', content: 'no such file' }] },
      })
      .line(FIRST, 'claude.stream_event', { delta: { text: 'lease partial' } })
      .result(FIRST, { text: 'All about the lease.' })
    record(...a.events, ...talk('b', ['Deadline and lease, both.'], SECOND))
  })

  it('finds each kind of text, newest first, and nothing of what is no message', () => {
    expect(places({ q: 'lease' })).toEqual(['b:2', 'a:9', 'a:6', 'a:3'])
    expect(places({ q: 'bash' })).toEqual(['a:5'])
    expect(places({ q: 'maybe' })).toEqual(['a:4'])
    expect(places({ q: 'UBERBLICK' })).toEqual(['a:1'])
    expect(places({ q: 'partial' })).toEqual([])
    // What JSON is made of is no text.
    expect(places({ q: 'content' })).toEqual([])
    expect(places({ q: 'text' })).toEqual([])
  })

  it('wants all words, and phrases as they stand', () => {
    expect(places({ q: 'lease deadline' })).toEqual(['b:2'])
    expect(places({ q: '"such file"' })).toEqual(['a:7'])
    expect(places({ q: '"file such"' })).toEqual([])
    expect(places({ q: 'src/queue' })).toEqual(['a:5'])
    expect(places({ q: '"not the' })).toEqual(['a:3'])
  })

  it('filters', () => {
    expect(places({ q: 'lease', sessionId: 'a' })).toEqual(['a:9', 'a:6', 'a:3'])
    expect(places({ q: 'lease', agentType: 'code_developer' })).toEqual(['b:2'])
    expect(places({ q: 'lease', agentId: FIRST.agentId, type: 'claude.assistant' })).toEqual(['a:3'])
    expect(places({ q: 'lease', type: 'claude.result' })).toEqual(['a:9'])
    expect(places({ q: 'lease', since: at(4), until: at(8) })).toEqual(['a:6'])
    expect(places({ q: 'lease', sessionId: 'none' })).toEqual([])
    expect(places({ q: 'lease', agentId: FIRST.agentId, sessionId: 'b' })).toEqual([])
  })

  it('says where the words are', () => {
    const [hit] = temp.ledger.searchSaid({ q: 'queue "lease decides"', sessionId: 'a' }).rows
    expect(hit).toMatchObject({
      agent_id: FIRST.agentId,
      agent_type: 'architect',
      type: 'claude.assistant',
      ts: at(3),
    })
    expect(hit?.snippet).toBe('The lease decides, not the queue.')
    expect(hit?.matches.map(([from, to]) => hit.snippet.slice(from, to))).toEqual(['lease decides', 'queue'])
  })

  it('keeps a snippet short, whatever the words are', () => {
    const long = `${'x'.repeat(3000)} needle ${'y'.repeat(3000)}`
    record(...talk('long', [long], { ...FIRST, epoch: 3 }))
    const [hit] = temp.ledger.searchSaid({ q: 'needle' }).rows
    expect(hit?.snippet.length).toBeLessThan(410)
    expect(hit?.matches.map(([from, to]) => hit.snippet.slice(from, to))).toEqual(['needle'])
  })

  it('refuses a text without words, and one that is too long', () => {
    for (const q of ['', '  ', '"-" * ()', '🙂'])
      expect(() => places({ q })).toThrow(/q: needs at least one word/)
    expect(() => places({ q: 'x'.repeat(501) })).toThrow(/q: must have at most 500 characters/)
    for (const cursor of ['x', temp.ledger.sessions.list({ limit: 1 }).nextCursor ?? ''])
      expect(() => places({ q: 'lease', cursor })).toThrow(/cursor: is not the next_cursor/)
  })
})

describe('search', () => {
  it('takes any text without an error, and finds every text that has a word by that word', () => {
    const anyText = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.string({
        unit: fc.constantFrom('"', '*', '(', ')', '-', '^', ':', '+', '{', 'a', ' ', '\0', '\u0301'),
        maxLength: 12,
      }),
      fc.constantFrom(
        'NEAR(a b)',
        'a AND',
        'OR',
        'NOT x',
        'text:a',
        '{text}:a',
        `' OR 1=1 --`,
        'a"b',
        '\ud800x',
        'ﬁ x',
      ),
    )
    record(...talk('a', ['a word AND another']))
    fc.assert(
      fc.property(anyText, (q) => {
        try {
          for (const { snippet, matches } of temp.ledger.searchSaid({ q }).rows)
            for (const [from, to] of matches) expect(to <= snippet.length && from < to).toBe(true)
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid_request' })
        }
        temp.ledger.sessions.list({ q })
      }),
      { numRuns: 200, examples: [['"'], ['\0'], ['"\0"'], ['a\0b']] },
    )
  })

  it('pages over all hits, each once, whatever the size of the page', () => {
    record(
      ...talk(
        'a',
        Array.from({ length: 23 }, (_, index) => `common number${index}`),
      ),
      ...talk('b', ['common'], SECOND),
    )
    for (const limit of [1, 7, 24, 50]) {
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const page = temp.ledger.searchSaid({
          q: 'common',
          limit,
          ...(cursor === undefined ? {} : { cursor }),
        })
        seen.push(...page.rows.map((hit) => `${hit.session_id}:${hit.seq}`))
        cursor = page.nextCursor ?? undefined
      } while (cursor !== undefined)
      expect(seen).toEqual(['b:2', ...Array.from({ length: 23 }, (_, index) => `a:${24 - index}`)])
    }
  })

  it('is filled in steps that may be repeated and cut anywhere', () => {
    const texts = talk(
      'a',
      Array.from({ length: 20 }, (_, index) => `word${index} common`),
    )
    recordTexts(temp.ledger, texts)
    expect(temp.ledger.searchSaid({ q: 'common' })).toMatchObject({ rows: [], pending: 21 })
    expect(temp.ledger.search.fill(7)).toBe(14)
    // A step of few bytes is one event, however many may be in it.
    expect(temp.ledger.search.fill(7, 1)).toBe(13)
    // A step that dies before its commit leaves nothing.
    expect(() =>
      temp.ledger.transaction(() => {
        temp.ledger.search.fill(7)
        throw new Error('dies')
      }),
    ).toThrow('dies')
    expect(temp.ledger.searchSaid({ q: 'common' }).rows).toHaveLength(7)
    expect(temp.ledger.search.fill(100)).toBe(0)
    expect(temp.ledger.search.fill(100)).toBe(0)
    expect(temp.ledger.searchSaid({ q: 'common' })).toMatchObject({ pending: 0 })
    expect(temp.ledger.searchSaid({ q: 'common' }).rows).toHaveLength(20)
    sound()
  })

  it('forgets events that are taken away, and can be made anew', () => {
    record(...talk('a', ['first common', 'second common']), ...talk('b', ['third common'], SECOND))
    // Not searched yet: there is nothing to forget.
    recordTexts(temp.ledger, talk('c', ['fourth common'], { ...FIRST, epoch: 9 }))
    const ids = temp
      .rows(`SELECT event_id FROM session_event WHERE line IS NOT NULL AND session_id <> 'b'`)
      .map((row) => Number(row.event_id))
    temp.ledger.transaction(() => temp.ledger.search.forget(ids))
    const db = new Database(temp.path)
    db.exec(`DELETE FROM session_event WHERE line IS NOT NULL AND session_id <> 'b'`)
    db.close()
    expect(temp.ledger.search.fill(100)).toBe(0)
    expect(places({ q: 'common' })).toEqual(['b:2'])
    sound()
    temp.ledger.search.clear()
    expect(places({ q: 'common' })).toEqual([])
    temp.ledger.search.fill(100)
    expect(places({ q: 'common' })).toEqual(['b:2'])
    expect(temp.ledger.sessions.list({ q: 'code_dev' }).rows).toHaveLength(2)
    sound()
  })

  it('survives every payload that is JSON', () => {
    const agent = FIRST
    let runs = 0
    fc.assert(
      fc.property(
        fc.json({ maxDepth: 4 }),
        fc.constantFrom('claude.assistant', 'claude.user', 'claude.result'),
        (json, type) => {
          runs += 1
          const wrapped = scriptedSession(`s${runs}`)
            .line({ ...agent, epoch: runs }, type, JSON.parse(json))
            .line({ ...agent, epoch: runs }, type, {
              message: { content: [JSON.parse(json), { type: 'text', text: JSON.parse(json) }] },
            })
            .line({ ...agent, epoch: runs }, type, {
              message: { content: [{ type: 'tool_result', content: [JSON.parse(json)] }] },
            })
          record(...wrapped.events)
        },
      ),
      { numRuns: 30 },
    )
    expect(temp.ledger.listEvents().rows).toHaveLength(50)
    sound()
  })
})

/** Both indexes are sound, and say what they say when they are made anew from the events. */
function sound(): void {
  const filled = words()
  temp.ledger.search.clear()
  expect(words()).toEqual([])
  temp.ledger.search.fill(100_000)
  expect(words()).toEqual(filled)
}

/** Every word of both indexes at each of its places. */
function words(): unknown[] {
  const db = new Database(temp.path)
  try {
    return ['said_search', 'asked_search'].flatMap((name) => {
      db.exec(`INSERT INTO ${name} (${name}) VALUES ('integrity-check')`)
      db.exec(`CREATE VIRTUAL TABLE temp.${name}_words USING fts5vocab('main', '${name}', 'instance')`)
      return db.prepare(`SELECT * FROM temp.${name}_words ORDER BY doc, term, "offset"`).all()
    })
  } finally {
    db.close()
  }
}

describe('the events of all sessions', () => {
  function types(filter: Parameters<typeof temp.ledger.listEvents>[0]): string[] {
    return temp.ledger.listEvents(filter).rows.map((text) => {
      const { session_id, seq, type } = parseEvent(text)
      return `${session_id}:${seq} ${type.replace('drover.', '')}`
    })
  }

  beforeEach(() => {
    const a = scriptedSession('a').accepted().spawned(FIRST)
    const b = scriptedSession('b', 'code_developer').accepted().spawned(SECOND)
    recordTexts(temp.ledger, [
      pendingTask('TASK-1', []),
      ...a.events,
      ...b.events,
      ...a
        .line(FIRST, 'claude.assistant', says({ type: 'text', text: '1.0' }))
        .ended()
        .events.slice(2),
    ])
  })

  it('come newest recorded first, as they were published', () => {
    expect(types({})).toEqual([
      'a:4 session.ended',
      'a:3 claude.assistant',
      'b:2 agent.spawned',
      'b:1 session.accepted',
      'a:2 agent.spawned',
      'a:1 session.accepted',
      'null:null task.pending',
    ])
  })

  it('have those of tasks without a session among them, in the order of recording', () => {
    recordTexts(temp.ledger, [pendingTask('TASK-2', ['TASK-1'])])
    recordTexts(temp.ledger, scriptedSession('c').accepted().events)
    recordTexts(temp.ledger, [pendingTask('TASK-3', []), pendingTask('TASK-4', [])])
    expect(types({ limit: 4 })).toEqual([
      'null:null task.pending',
      'null:null task.pending',
      'c:1 session.accepted',
      'null:null task.pending',
    ])
    expect(types({ type: 'drover.task' })).toHaveLength(4)
    expect(types({ type: 'drover.session', sessionId: 'c' })).toHaveLength(1)
    const all = temp.ledger.listEvents().rows
    const byOne: string[] = []
    for (let cursor: string | null | undefined; cursor !== null;) {
      const page = temp.ledger.listEvents({ limit: 1, ...(cursor === undefined ? {} : { cursor }) })
      byOne.push(...page.rows)
      cursor = page.nextCursor
    }
    expect(byOne).toEqual(all)
    expect(all.map((text) => parseEvent(text).payload).filter((one: any) => one.task_id)).toHaveLength(4)
  })

  it('are filtered', () => {
    expect(types({ sessionId: 'b' })).toEqual(['b:2 agent.spawned', 'b:1 session.accepted'])
    expect(types({ agentId: FIRST.agentId })).toEqual(['a:3 claude.assistant', 'a:2 agent.spawned'])
    expect(types({ agentType: 'architect', type: 'drover.session' })).toEqual([
      'a:4 session.ended',
      'a:1 session.accepted',
    ])
    expect(types({ type: 'drover.session.accepted' })).toEqual([
      'b:1 session.accepted',
      'a:1 session.accepted',
    ])
    expect(types({ type: 'drover.sess' })).toEqual([])
    expect(types({ type: 'claude' })).toEqual(['a:3 claude.assistant'])
    expect(types({ since: at(2), until: at(3) })).toEqual([
      'a:3 claude.assistant',
      'b:2 agent.spawned',
      'a:2 agent.spawned',
    ])
    expect(types({ agentId: 'nobody' })).toEqual([])
  })

  it('come a page at a time', () => {
    const first = temp.ledger.listEvents({ limit: 4 })
    const second = temp.ledger.listEvents({ limit: 4, cursor: first.nextCursor ?? '' })
    expect([...first.rows, ...second.rows]).toEqual(temp.ledger.listEvents().rows)
    expect(second.nextCursor).toBeNull()
    expect(() => temp.ledger.listEvents({ limit: 0 })).toThrow(/limit/)
    expect(() => temp.ledger.listEvents({ since: 'x', until: 'y' })).toThrow(/must be a time/)
  })
})

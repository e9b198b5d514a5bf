import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { composeEvent, parseEvent, splitEvent } from '../../src/core/envelope.ts'
import { at, recordTexts, scriptedSession } from '../recorder/scripted-session.ts'
import { createTempLedger, type TempLedger } from './temp-ledger.ts'

const AGENT = { agentId: 'architect-20261120-001', epoch: 7 }

let temp: TempLedger
beforeEach(() => {
  temp = createTempLedger()
})
afterEach(() => temp.remove())

describe('events', () => {
  it('come back as the texts that were published, byte for byte', () => {
    // Spacing, key order, numbers and escapes of the child stay as they were.
    const odd = '{ "b":1.0, "a" : "\\u00e9\\ud83d", "payload":{",\\"payload\\":":1e2} , "b":2}'
    const session = scriptedSession('s1').accepted().spawned(AGENT)
    const { header } = splitEvent(session.events[1] ?? '')
    const texts = [
      ...session.events,
      composeEvent({ ...header, seq: 3, line: 1, type: 'claude.odd' }, odd),
      composeEvent({ ...header, seq: 4, line: 2, type: 'claude.odd', late: true }, '"x"'),
    ]
    recordTexts(temp.ledger, texts)
    expect(temp.ledger.events.page('s1', 0, 100).events).toEqual(texts)
  })

  it('come in pages without gap or repeat', () => {
    const session = scriptedSession('s1').accepted().spawned(AGENT)
    for (let line = 1; line <= 20; line++) session.line(AGENT, 'claude.assistant', { line })
    recordTexts(temp.ledger, [...session.events, ...scriptedSession('s2').accepted().events])
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), (limit) => {
        const seen: string[] = []
        let after = 0
        for (;;) {
          const page = temp.ledger.events.page('s1', after, limit)
          expect(page.ended).toBe(false)
          if (page.events.length === 0) break
          seen.push(...page.events)
          after = page.next
        }
        expect(seen).toEqual(session.events)
      }),
      { numRuns: 10 },
    )
    expect(temp.ledger.events.lastSeq('s1')).toBe(22)
    expect(temp.ledger.events.lastSeq('nobody')).toBe(0)
    expect(temp.ledger.events.page('nobody', 0, 10)).toEqual({ events: [], next: 0, ended: false })
  })

  it('have ended when the last one after the end is read', () => {
    const session = scriptedSession('s1').accepted().spawned(AGENT).exited(AGENT).ended().closed(AGENT)
    recordTexts(temp.ledger, session.events)
    expect(temp.ledger.events.ended('s1')).toBe(true)
    expect(temp.ledger.events.page('s1', 0, 4)).toMatchObject({ next: 4, ended: false })
    expect(temp.ledger.events.page('s1', 4, 4)).toMatchObject({ next: 5, ended: true })
    expect(temp.ledger.events.page('s1', 5, 4)).toMatchObject({ events: [], next: 5, ended: true })
  })

  it('fill a page up to a size, and at least one', () => {
    const session = scriptedSession('s1').accepted().spawned(AGENT)
    for (let line = 1; line <= 4; line++) session.line(AGENT, 'claude.user', 'x'.repeat(5_000_000))
    recordTexts(temp.ledger, session.events)
    expect(temp.ledger.events.page('s1', 2, 1000).events).toHaveLength(2)
    expect(temp.ledger.events.page('s1', 2, 0).events).toHaveLength(1)
  })

  it('carry the time of the session script', () => {
    recordTexts(temp.ledger, scriptedSession('s1').accepted().events)
    const [text = ''] = temp.ledger.events.page('s1', 0, 1).events
    expect(parseEvent(text).ts).toBe(at(1))
  })
})

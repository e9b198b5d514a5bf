import { describe, expect, test } from 'vitest'
import { refuseRing, type Awaited, type WaitingSession } from '../../src/core/ring.ts'
import type { SessionState } from '../../src/core/state.ts'

/** `a1` is a session of the type `a`; `a1>b1`: its agent waits for `b1`. */
function world(
  states: Readonly<Record<string, SessionState>>,
  waits: readonly string[],
  slots = 1,
  dependencies: Readonly<Record<string, readonly string[]>> = {},
) {
  const sessions = new Map(
    Object.entries(states).map(([sessionId, state]) => {
      const session: WaitingSession = { sessionId, agentType: sessionId.slice(0, 1), state }
      return [sessionId, session] as const
    }),
  )
  const known = {
    sessions,
    maxInstances: () => slots,
    dependencies: new Map(Object.entries(dependencies)),
    waits: waits.map((wait) => {
      const [waiter = '', awaited = ''] = wait.split('>')
      return { waiter, awaited }
    }),
  }
  return {
    asks: (waiter: string, agentType: string, after: readonly string[] = []): void => {
      const awaited: Awaited = { sessionId: null, agentType, state: 'queued', dependencies: after }
      refuseRing(waiter, awaited, known)
    },
    waits: (waiter: string, sessionId: string): void => {
      const awaited = sessions.get(sessionId)
      if (awaited !== undefined) refuseRing(waiter, awaited, known)
    },
  }
}

const live = 'running' as const

describe('a ring is refused, with its chain', () => {
  test('of one that asks for its own type', () => {
    const { asks } = world({ a1: live }, [])
    expect(() => asks('a1', 'a')).toThrow('a (a1) → a would wait for ever: the only slot of a is held')
  })

  test('of one that asks for the type of a session that waits for it, however far', () => {
    const { asks } = world({ a1: live, b1: live, c1: live }, ['a1>b1', 'b1>c1'])
    expect(() => asks('c1', 'a')).toThrow('a (a1) → b (b1) → c (c1) → a would wait for ever')
    expect(() => asks('c1', 'b')).toThrow('b (b1) → c (c1) → b would wait for ever')
  })

  test('of one that waits for what depends on its own task, or for who waits for that', () => {
    const { asks, waits } = world({ a1: live, b1: live, c1: 'queued', d1: 'queued' }, ['b1>c1'], 1, {
      c1: ['a1'],
      d1: ['c1', 'a1'],
    })
    const why =
      'would wait for ever: the last of them depends on the task of the first. Do the work in this session, or'
    expect(() => asks('a1', 'c', ['a1'])).toThrow(`a (a1) → c ${why}`)
    expect(() => waits('a1', 'c1')).toThrow(`a (a1) → c (c1) ${why}`)
    expect(() => waits('a1', 'b1')).toThrow(`a (a1) → b (b1) → c (c1) ${why}`)
    expect(() => waits('a1', 'd1')).toThrow(`a (a1) → d (d1) ${why}`)
    // Whoever is not in it may wait, and so may everybody once the task is done.
    expect(() => waits('b1', 'd1')).not.toThrow()
    const { waits: later } = world({ a1: live, a0: 'completed', c1: 'queued' }, [], 1, { c1: ['a0'] })
    expect(() => later('a1', 'c1')).not.toThrow()
  })

  test('of one that waits for a session in the queue of its own slot, or for who waits for that', () => {
    const { waits } = world({ a1: live, a2: 'queued', b1: live }, ['b1>a2'])
    expect(() => waits('a1', 'a2')).toThrow('a (a1) → a (a2) would wait for ever')
    expect(() => waits('a1', 'b1')).toThrow('a (a1) → b (b1) → a (a2) would wait for ever')
  })

  test('over the slots of two types', () => {
    // c1 waits for b2, which is in the queue behind b1, which waits for a2, which is in the queue behind a1.
    const { waits } = world({ a1: live, a2: 'queued', b1: live, b2: 'queued', c1: live }, ['b1>a2', 'c1>b2'])
    expect(() => waits('a1', 'c1')).toThrow('a (a1) → c (c1) → b (b2) → b (b1) → a (a2) would wait for ever')
  })

  test('of two that wait for one another, and of one that waits for itself', () => {
    const { waits } = world({ a1: live, b1: live }, ['b1>a1'])
    expect(() => waits('a1', 'b1')).toThrow('a (a1) → b (b1) → a (a1) would wait for ever: they wait for')
    expect(() => waits('a1', 'a1')).toThrow('a (a1) → a (a1) would wait for ever')
  })

  test('when all slots of the type are held by those that wait', () => {
    const { asks } = world({ a1: live, a2: live }, ['a1>a2'], 2)
    expect(() => asks('a2', 'a')).toThrow('all 2 slots of a are held by sessions that wait')
  })

  test('when the other slots of the type are held by those that wait for a slot of it', () => {
    const { asks, waits } = world({ a1: live, a2: live, a3: 'queued' }, ['a1>a3'], 2)
    expect(() => asks('a2', 'a')).toThrow('a (a2) → a would wait for ever: all 2 slots of a are held')
    expect(() => waits('a2', 'a3')).toThrow('all 2 slots of a are held by sessions that wait')
  })

  test('when the slots of two types are held by those that wait for a slot of the other one', () => {
    const { asks } = world(
      { a1: live, a2: live, b1: live, b2: live, a3: 'queued', b3: 'queued' },
      ['a1>b3', 'b1>a3', 'b2>a3'],
      2,
    )
    expect(() => asks('a2', 'b')).toThrow(
      'a (a2) → b → b (b1) → a (a3) would wait for ever: all 2 slots of a',
    )
  })
})

test('hundreds that wait for slots of their types are looked at in no time', () => {
  const count = 200
  const ids = (mark: string): string[] => Array.from({ length: count }, (_, n) => `${mark}-${n}`)
  const states: Record<string, SessionState> = {}
  for (const id of ids('a')) states[id] = live
  for (const id of ids('aq')) states[id] = 'queued'
  const waits = ids('a').map((id, n) => `${id}>aq-${n}`)
  const began = process.cpuUsage()
  expect(() => world(states, waits.slice(1), count).asks('a-0', 'a')).toThrow('all 200 slots of a are held')
  expect(() => world(states, waits.slice(2), count).asks('a-0', 'a')).not.toThrow()
  // Time of the CPU, which others have too.
  expect(process.cpuUsage(began).user / 1000).toBeLessThan(2000)
})

describe('no ring, and not refused', () => {
  test.each([
    ['whoever has the slot does not wait', () => world({ a1: live, b1: live }, []).asks('b1', 'a')],
    ['whoever had the slot has ended', () => world({ a1: 'failed', b1: live }, ['a1>b1']).asks('b1', 'a')],
    ['it waits for another', () => world({ a1: live, b1: live, c1: live }, ['a1>c1']).asks('b1', 'a')],
    ['a slot is free', () => world({ a1: live, b1: live }, ['a1>b1'], 2).asks('b1', 'a')],
    ['one holder goes on', () => world({ a1: live, a2: live, b1: live }, ['a1>b1'], 2).asks('b1', 'a')],
    ['who asks has no slot', () => world({ a1: 'queued' }, []).asks('a1', 'a')],
    ['it has ended', () => world({ a1: live, b1: 'completed' }, ['b1>a1']).waits('a1', 'b1')],
    [
      'it waits for two, and one of them ends',
      () => world({ a1: live, b1: live, c1: live }, ['a1>c1']).waits('b1', 'c1'),
    ],
    [
      'others have closed one',
      () => world({ a1: live, b1: live, c1: live }, ['b1>c1', 'c1>b1']).asks('a1', 'b'),
    ],
    ['others are in it', () => world({ a1: live, b1: live, c1: live }, ['b1>c1', 'c1>b1']).waits('a1', 'b1')],
  ])('where %s', (_where, ask) => {
    expect(ask).not.toThrow()
  })
})

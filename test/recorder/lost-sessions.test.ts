/** What is left of a session when a part of it is gone: it goes on, or ends by a name. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { newSessionId } from '../../src/core/ids.ts'
import { readEndedNote } from '../../src/queue/ended-session.ts'
import { createTalkStore } from '../../src/queue/talk.ts'
import { createLostSessions } from '../../src/recorder/lost-sessions.ts'
import type { Passes } from '../../src/recorder/passes.ts'
import type { Recorder } from '../../src/recorder/recorder.ts'
import { seedRedis } from '../support/seed.ts'
import { until } from '../support/until.ts'
import { openRestoreStage, type RestoreStage } from './restore-stage.ts'

let stage: RestoreStage
let recorder: Recorder
let lost: Passes
let said: string[]
let writtenBack: string[]
beforeEach(async () => {
  said = []
  writtenBack = []
  stage = await openRestoreStage()
  await seedRedis(stage.redis, stage.keys)
  recorder = stage.startRecorder()
  await until(() => recorder.recording)
  const log = (_details: unknown, message?: string): void => void said.push(message ?? '')
  lost = createLostSessions({
    redis: stage.redis,
    keys: stage.keys,
    ledger: stage.temp.ledger,
    recorder,
    log: { warn: log, error: log },
    onWrittenBack: (sessionId) => void writtenBack.push(sessionId),
    passMs: 50,
  })
  lost.start()
})
afterEach(async () => {
  await lost.stop()
  await stage.close()
})

const row = (sessionId: string) => stage.temp.ledger.sessions.get(sessionId)
const ENDED = {
  status: 'completed',
  failure_reason: null,
  message: null,
  output: 'Done.',
  cost_micros: 0,
  usage: { input_tokens: 0, output_tokens: 0, cache_read_tokens: 0, cache_creation_tokens: 0 },
  num_turns: 1,
  duration_ms: 5,
  restarts: 0,
  permission_denials: [],
} as const

/** Every look finds nothing to do. */
async function somePasses(): Promise<void> {
  const before = Number(/cmdstat_hgetall:calls=(\d+)/.exec(await stage.redis.info('commandstats'))?.[1] ?? 0)
  await until(
    async () =>
      Number(/cmdstat_hgetall:calls=(\d+)/.exec(await stage.redis.info('commandstats'))?.[1] ?? 0) >
      before + 4,
  )
}

test('a hash that went comes back from the ledger, with its job; one that is there stays as it is', async () => {
  const [gone, kept] = [await stage.accept(), await stage.accept()]
  await stage.settled()
  const before = await stage.redis.hgetall(stage.keys.session(kept))
  await stage.redis.del(stage.keys.session(gone))
  await until(async () => (await stage.store.read(gone))?.state === 'queued')
  await until(() => writtenBack.length > 0)
  await somePasses()
  expect(writtenBack).toEqual([gone])
  expect(await stage.redis.hgetall(stage.keys.session(kept))).toEqual(before)
  expect(row(gone)?.status).toBe('queued')
  expect((await stage.store.read(gone))?.request.prompt).toBe('Design it')
})

test.for([
  ['and so have its messages', true],
  ['its messages have not', false],
] as const)('a hash that went, %s: they wait for its agent', async ([, areGone]) => {
  const talk = createTalkStore(stage.redis, stage.keys)
  const sessionId = await stage.accept()
  const message = {
    message_id: 'one',
    text: 'x',
    priority: 'next',
    actor: { via: 'cli', name: null },
  } as const
  await talk.send({ sessionId, agentType: 'architect' }, message)
  await stage.settled()
  const before = await talk.read(sessionId)
  await stage.redis.del(stage.keys.session(sessionId), ...(areGone ? [stage.keys.talk(sessionId)] : []))
  await until(() => writtenBack.length > 0)
  expect(await talk.read(sessionId)).toEqual(before)
  expect(await stage.redis.hget(stage.keys.session(sessionId), 'inbox')).toBe('1')
})

test('whose acceptance nobody has ends as lost, in the ledger and in Redis', async () => {
  const sessionId = newSessionId()
  const claimed = {
    session_id: sessionId,
    agent_id: null,
    agent_type: 'architect',
    epoch: 0,
    seq: 2,
    line: null,
    ts: new Date().toISOString(),
    type: 'drover.session.claimed',
    payload: { pod_id: 'pod' },
  }
  await stage.redis.xadd(stage.keys.events, '*', 'event', JSON.stringify(claimed))
  const ended = await until(() => {
    const session = row(sessionId)
    return session?.status === 'failed' && session
  })
  expect(ended).toMatchObject({ failure_reason: 'lost', incomplete: true })
  expect(ended.error_message).toContain('acceptance is not in the ledger')
  expect(said).toEqual([expect.stringContaining('The session ended as failed')])
  expect(await stage.store.read(sessionId)).toMatchObject({ state: 'failed', seq: 3 })
  await somePasses()
  expect(said).toHaveLength(1)
})

test('a job of a session that nobody knows: it ends as lost, and the report goes', async () => {
  const sessionId = newSessionId()
  await stage.redis.hset(stage.keys.noRecord, sessionId, 'architect')
  await until(() => row(sessionId)?.failure_reason === 'lost')
  expect(row(sessionId)).toMatchObject({ status: 'failed', agent_type: 'architect' })
  expect(await stage.store.read(sessionId)).toMatchObject({ state: 'failed' })
  await until(async () => (await stage.redis.exists(stage.keys.noRecord)) === 0)
  // The same key later is that session, and no new one.
  expect((await readEndedNote(stage.redis, stage.keys, sessionId))?.status).toBe('failed')
})

test('an end that only the hash has is published again', async () => {
  const sessionId = await stage.accept()
  await stage.settled()
  await stage.redis.hset(stage.keys.session(sessionId), {
    state: 'completed',
    seq: 4,
    ended: JSON.stringify({ ...ENDED, completed_at: new Date().toISOString() }),
  })
  await until(() => row(sessionId)?.status === 'completed')
  expect(row(sessionId)).toMatchObject({ result: 'Done.' })
  await somePasses()
  expect(stage.temp.ledger.events.lastSeq(sessionId)).toBe(5)
})

test('of an end only the note is left: the session ends as it says, and does not run again', async () => {
  const sessionId = await stage.accept()
  await stage.settled()
  const note = {
    status: 'completed',
    agent_type: 'architect',
    digest: 'd',
    created_at: '',
    timeout_seconds: 60,
  }
  await stage.redis
    .multi()
    .del(stage.keys.session(sessionId))
    .set(stage.keys.ended(sessionId), JSON.stringify({ ...note, first_id: '0-0' }))
    .exec()
  await until(() => row(sessionId)?.status === 'completed')
  expect(row(sessionId)?.error_message).toContain('what it said last is not known')
  expect(writtenBack).toEqual([])
})

test('nothing is done while Redis is not confirmed', async () => {
  const sessionId = await stage.accept()
  await stage.settled()
  await stage.redis.set(stage.keys.seeded, 'another-life')
  await stage.redis.del(stage.keys.session(sessionId))
  await stage.redis.hset(stage.keys.noRecord, newSessionId(), 'architect')
  // The write-back of a loss that shows does it, after its own rules.
  await until(() => stage.restored() === 1)
  expect(said).toEqual([])
  expect((await stage.store.read(sessionId))?.state).toBe('queued')
})

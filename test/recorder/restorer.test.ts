import { Redis } from 'ioredis'
import { afterEach, describe, expect, it, type TestContext } from 'vitest'
import type { MessageSent, SessionEnded } from '../../src/core/events.ts'
import { NO_USAGE } from '../../src/core/envelope.ts'
import type { MailSent } from '../../src/core/mail-events.ts'
import { vouch } from '../../src/queue/incarnation.ts'
import { createMailStore } from '../../src/queue/mail.ts'
import type { AgentRef } from '../../src/queue/session-store.ts'
import { createTalkStore } from '../../src/queue/talk.ts'
import { acceptance } from '../support/namespace.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { openRestoreStage, PREFIX, TRUST_MS, TTL_MS, type RestoreStage } from './restore-stage.ts'

const LIMIT = 30_000

/** A stage whose recorder has confirmed a server of its own; closed with the test. */
async function openSeeded({ onTestFinished }: TestContext, aof?: 'always'): Promise<RestoreStage> {
  const stage = await openRestoreStage(aof === undefined ? {} : { aof })
  onTestFinished(() => stage.close())
  await vouch(stage.redis, stage.keys, 'new')
  stage.startRecorder()
  await until(stage.seeded)
  return stage
}

const ENDED: SessionEnded = {
  status: 'completed',
  failure_reason: null,
  message: null,
  output: 'Done.',
  cost_micros: 0,
  usage: NO_USAGE,
  num_turns: 0,
  duration_ms: 5,
  restarts: 0,
  permission_denials: [],
}

async function end(stage: RestoreStage, agent: AgentRef): Promise<void> {
  const changed = await stage.store.change(agent, {
    to: 'completed',
    set: { ended: JSON.stringify({ ...ENDED, completed_at: new Date().toISOString() }) },
    events: [{ type: 'drover.session.ended', payload: ENDED }],
    last: true,
  })
  if (!changed.ok) throw new Error(changed.refused)
}

const acquire = (stage: RestoreStage): ReturnType<RestoreStage['leases']['acquire']> =>
  stage.leases.acquire('architect', 1, new AbortController().signal)

// Most of their time a lease ends.
describe.concurrent(
  'after Redis lost everything',
  () => {
    it.for([
      ['emptied', (stage: RestoreStage) => stage.redis.flushall()],
      ['restarted without its data', (stage: RestoreStage) => stage.restart()],
    ] as const)(
      '%s: what the ledger knows comes back, and only then leases are given',
      async ([, lose], context) => {
        const stage = await openSeeded(context)
        const [queued, running, done] = [await stage.accept(), await stage.accept(), await stage.accept()]
        const agent = await stage.startAgent(running)
        await stage.say(agent, 1, 3)
        await stage.store.change(agent, {
          from: ['starting'],
          to: 'running',
          set: { pid: 4711, started_at: '2026-01-01T00:00:01.000Z' },
          events: [
            {
              type: 'drover.agent.started',
              payload: { pid: 4711, startup_ms: 1, started_at: '2026-01-01T00:00:01.000Z', model: null },
            },
          ],
        })
        const other = await stage.startAgent(done)
        await end(stage, other)
        await stage.settled()
        const before = {
          queued: await stage.store.read(queued),
          running: await stage.store.read(running),
          done: await stage.store.read(done),
        }
        const held = await acquire(stage)
        expect(held).not.toBeNull()

        await lose(stage)
        const given = await acquire(stage)
        // The holder of before could trust its lease that long: it never learnt of the loss.
        expect((given?.trustedUntil ?? 0) - TRUST_MS).toBeGreaterThan(held?.trustedUntil ?? 0)

        const ids = { firstId: expect.any(String), lastId: expect.any(String) }
        expect(await stage.store.read(queued)).toEqual({ ...before.queued, ...ids })
        expect(await stage.store.read(running)).toEqual({ ...before.running, ...ids })
        expect(await stage.store.read(done)).toMatchObject({
          state: 'completed',
          seq: before.done?.seq,
          epoch: before.done?.epoch,
          ended: { status: 'completed', output: 'Done.' },
        })
        const ttl = await stage.redis.ttl(stage.keys.session(done))
        expect(ttl).toBeGreaterThan(23 * 3600)
        expect(ttl).toBeLessThanOrEqual(24 * 3600)
        expect(await stage.redis.ttl(stage.keys.session(running))).toBe(-1)
        const note = await stage.store.readEnded(done)
        expect(note).toMatchObject({ status: 'completed', digest: 'd', agent_type: 'architect' })
        expect(await stage.redis.ttl(stage.keys.ended(done))).toBeGreaterThan(6 * 24 * 3600)
        expect(await stage.store.readEnded(running)).toBe(null)
        expect(stage.restored()).toBe(2)
        await given?.release()

        // Epochs go on, no agent's id comes twice, and lines go on where they were.
        const next = await stage.startAgent(queued)
        expect(Number(next.epoch)).toBeGreaterThan(Number(other.epoch))
        expect(Number(next.agentId.slice(PREFIX.length))).toBeGreaterThan(2)
        await stage.say(agent, 2, 4)
        await stage.settled()
        const lines = stage.temp.rows(`SELECT line FROM session_event WHERE line IS NOT NULL ORDER BY line`)
        expect(lines).toEqual([1, 2, 3, 4, 5].map((line) => ({ line })))
        expect(await stage.store.accept(acceptance(done))).toEqual({ created: false, why: 'exists' })
        expect(stage.temp.ledger.tables.faults.count()).toBe(0)
      },
    )

    it('what was said to a session is kept for its next agent again, and what was delivered is known', async (context) => {
      const stage = await openSeeded(context)
      const talk = createTalkStore(stage.redis, stage.keys)
      const [sessionId, ended] = [await stage.accept(), await stage.accept()]
      const session = { sessionId, agentType: 'architect' }
      const said = (id: string): MessageSent => ({
        message_id: id,
        text: `Text of ${id}`,
        priority: 'next',
        actor: { via: 'cli', name: null },
      })
      for (const id of ['one', 'two', 'three']) await talk.send(session, said(id))
      const agent = await stage.startAgent(sessionId)
      const over = { type: 'command_lifecycle', command_uuid: 'two', state: 'completed' }
      await stage.store.lines(agent, {
        first: 1,
        lines: [{ type: 'claude.command_lifecycle', payloadText: JSON.stringify(over) }],
      })
      await stage.store.change(agent, {
        from: ['starting'],
        to: 'waiting_input',
        talk: { started: ['two', 'three'], done: ['two'] },
        events: [
          { type: 'drover.message.delivered', payload: { message_id: 'two' } },
          { type: 'drover.message.delivered', payload: { message_id: 'three' } },
          { type: 'drover.session.resumed', payload: { waited_ms: 70 } },
          {
            type: 'drover.session.waiting_input',
            payload: { reason: 'interrupted', until: '2026-11-20T00:00:09.000Z' },
          },
        ],
      })
      await talk.send({ ...session, sessionId: ended }, said('four'))
      await end(stage, await stage.startAgent(ended))
      await stage.settled()
      const before = await talk.read(sessionId)
      // The turn that took up the third one is not over: if its agent dies now, its conversation may not have it.
      expect(before.messages.map((message) => [message.message_id, message.startedBy])).toEqual([
        ['one', null],
        ['three', agent.agentId],
      ])
      const [waiting] = stage.temp
        .rows(`SELECT ts FROM session_event WHERE type = 'drover.session.waiting_input'`)
        .map(({ ts }) => Date.parse(String(ts)))
      await stage.redis.flushall()
      await until(stage.seeded, { timeoutMs: LIMIT })
      expect(await talk.read(sessionId)).toEqual(before)
      const record = await stage.store.read(sessionId)
      expect(record).toMatchObject({
        waitedMs: 70,
        waitingSince: waiting,
        interruptedUntil: Date.parse('2026-11-20T00:00:09.000Z'),
      })
      expect(await stage.redis.hget(stage.keys.session(sessionId), 'inbox')).toBe('2')
      for (const id of ['one', 'two']) {
        expect(await talk.send(session, said(id))).toMatchObject({ ok: true, repeated: true })
      }
      expect(await talk.send(session, { ...said('two'), text: 'other' })).toMatchObject({
        refused: 'conflict',
      })
      expect(await stage.redis.exists(stage.keys.talk(ended))).toBe(0)
    })

    it('messages wait where they waited, and what was taken is not there again', async (context) => {
      const stage = await openSeeded(context)
      const mail = createMailStore(stage.redis, stage.keys)
      const session = await stage.accept()
      const reader = { sessionId: session, agentType: 'architect' }
      const actor = { via: 'mcp', name: session } as const
      const message = (id: string, to_session: string | null): MailSent => ({
        channel: 'mail',
        message_id: id,
        agent_type: 'architect',
        actor,
        thread_id: id,
        in_reply_to: null,
        broadcast_id: null,
        from_session: session,
        from_agent_type: 'architect',
        to_session,
        to_agent_type: 'architect',
        text: `Text of ${id}`,
      })
      for (const id of ['taken', 'read', 'unread']) await mail.send(message(id, null), null, reader)
      await mail.send(message('own', session), null, reader)
      await mail.read(reader, 2, actor)
      const answered = {
        channel: 'mail',
        message_id: 'taken',
        agent_type: 'architect',
        actor,
        reply_id: null,
      } as const
      await mail.take(answered, reader)
      await stage.settled()
      const [text, taken] = await Promise.all([
        stage.redis.hgetall(stage.keys.message('read')),
        stage.redis.ttl(stage.keys.message('taken')),
      ])
      expect(taken).toBeGreaterThan(0)

      await stage.redis.flushall()
      // Put back by an old copy of Redis, in which it was not taken yet.
      await stage.redis.hset(stage.keys.message('taken'), {
        state: 'open',
        payload: '{}',
        box: 'type:architect',
      })
      await stage.redis.zadd(stage.keys.inbox('type:architect'), 1, 'taken')
      await expect(mail.read(reader, 9, actor)).rejects.toMatchObject({ code: 'redis_unavailable' })
      await until(stage.seeded)
      const page = await mail.read(reader, 9, actor)
      expect(page.ok && page.messages.map(({ sent, readBefore }) => [sent.message_id, readBefore])).toEqual([
        ['unread', false],
        ['own', false],
        ['read', true],
      ])
      const {
        stream_id: _,
        payload = '',
        head = '',
        ...restored
      } = await stage.redis.hgetall(stage.keys.message('read'))
      expect(text).toMatchObject(restored)
      expect(JSON.parse(head)).toEqual(JSON.parse(text['head'] ?? ''))
      expect(JSON.parse(payload)).toEqual(JSON.parse(text['payload'] ?? ''))
      expect(await mail.send(message('unread', null), null, reader)).toMatchObject({ repeated: true })
      expect(await mail.take(answered, reader)).toMatchObject({ ok: false, refused: 'taken' })
    })

    it('a key that is used again meanwhile does not open what has ended', async (context) => {
      const stage = await openSeeded(context)
      const done = await stage.accept()
      await end(stage, await stage.startAgent(done))
      await stage.settled()
      // All at once, as a producer may be quicker than the recorder.
      await stage.redis
        .multi()
        .flushall()
        .hset(stage.keys.session(done), { state: 'queued', seq: 9, epoch: 0 })
        .exec()
      await until(stage.seeded)
      const record = await stage.store.read(done)
      expect(record).toMatchObject({ state: 'completed', seq: 9 })
    })

    it('a loss in the middle of the way begins it anew', async (context) => {
      const stage = await openSeeded(context)
      const sessionId = await stage.accept()
      await stage.settled()
      await stage.redis.flushall()
      const first = await until(() => stage.redis.get(stage.keys.restored))
      await stage.redis.flushall()
      const second = await until(() => stage.redis.get(stage.keys.restored))
      expect(second).not.toBe(first)
      const since = Number(second.split(' ')[2])
      await until(stage.seeded)
      const [seconds, micros] = await stage.redis.time()
      expect(Number(seconds) * 1000 + Number(micros) / 1000 - since).toBeGreaterThanOrEqual(TTL_MS)
      expect((await stage.store.read(sessionId))?.state).toBe('queued')
    })

    it('while no recorder was at work: what a wait was for does not pass for recorded', async (context) => {
      const stage = await openSeeded(context)
      await stage.stopFirst()
      await stage.accept()
      const [lost] = await stage.redis.xrevrange(stage.keys.events, '+', '-', 'COUNT', 1)
      // The lease of one that was killed: the next recorder has to wait.
      await stage.redis.set(stage.keys.recorderLease, 'dead')
      const next = stage.startRecorder()
      const waiting = next.waitFor(lost?.[0] ?? '', 20_000)
      await stage.redis.flushall()
      await until(() => next.recording)
      await stage.accept()
      await stage.settled()
      expect(await waiting).toBe(false)
    })

    it('another recorder goes on where one ended', async (context) => {
      const stage = await openSeeded(context)
      const sessionId = await stage.accept()
      await stage.settled()
      await stage.redis.flushall()
      await until(() => stage.redis.get(stage.keys.restored))
      const first = stage.restored()
      stage.startRecorder()
      await stage.stopFirst()
      await until(stage.seeded, { timeoutMs: 15_000 })
      expect(stage.restored()).toBe(first + 1)
      expect((await stage.store.read(sessionId))?.state).toBe('queued')
    })

    it('waits for the pods that are there, at most one more lease', async (context) => {
      const stage = await openSeeded(context)
      await stage.redis.flushall()
      const restored = await until(() => stage.redis.get(stage.keys.restored))
      const pod = stage.keys.pod('slow')
      await stage.redis.multi().zadd(stage.keys.pods, 1, 'slow').zadd(stage.keys.pods, 1, 'gone').exec()
      await stage.redis.hset(pod, { instance: 'i', resent: 'of an earlier loss' })
      const since = Number(restored.split(' ')[2])
      const elapsed = async (): Promise<number> => Number((await stage.redis.time())[0]) * 1000 - since
      await until(async () => (await elapsed()) > TTL_MS + 200)
      expect(await stage.seeded()).toBe(false)
      await stage.redis.hset(pod, { resent: restored })
      await until(stage.seeded, { timeoutMs: TTL_MS })
    })

    it('gives up on a pod that says nothing, and says which', async (context) => {
      const stage = await openSeeded(context)
      await stage.redis.flushall()
      await until(() => stage.redis.get(stage.keys.restored))
      await stage.redis.zadd(stage.keys.pods, 1, 'mute')
      await stage.redis.hset(stage.keys.pod('mute'), { instance: 'i', resent: '' })
      await until(stage.seeded)
      expect(stage.logged.join('\n')).toContain('have not sent again')
    })
  },
  LIMIT,
)

describe(
  'after Redis was restarted with its data',
  () => {
    it('nothing is taken back, and a holder of before keeps its lease', async (context) => {
      const stage = await openSeeded(context, 'always')
      const sessionId = await stage.accept()
      const agent = await stage.startAgent(sessionId)
      const lease = await acquire(stage)
      if (lease === null) throw new Error('no lease')
      await stage.settled()
      await stage.restart()
      const renewed = await stage.store.renew(agent, {
        leaseKey: lease.key,
        token: lease.token,
        ttlMs: TTL_MS,
        beat: {},
      })
      expect(renewed.ok).toBe(true)
      // What its agent says meanwhile is taken as soon as the hashes are what the ledger has.
      await until(() =>
        stage.say(agent, 1, 2).then(
          () => true,
          () => false,
        ),
      )
      expect(await stage.seeded()).toBe(false)
      await until(stage.seeded)
      expect(await stage.store.read(sessionId)).toMatchObject({ seq: 4, cursor: 2, agentId: agent.agentId })
      await stage.settled()
      expect(stage.temp.ledger.tables.faults.count()).toBe(0)
      expect(stage.temp.ledger.events.lastSeq(sessionId)).toBe(4)
    })

    it('whose starter vouches for it: at once, without a write-back', async (context) => {
      const stage = await openSeeded(context, 'always')
      await stage.accept()
      await stage.settled()
      await stage.restartVouched('intact')
      const began = performance.now()
      await until(stage.seeded)
      expect(performance.now() - began).toBeLessThan(TTL_MS - 300)
      expect(await stage.redis.get(stage.keys.quarantine)).toBeNull()
    })

    it('vouched for, but an older copy than the ledger: the whole way', async (context) => {
      const stage = await openSeeded(context, 'always')
      const sessionId = await stage.accept()
      await stage.settled()
      // As if the copy had been made before.
      await stage.redis.del(stage.keys.events, stage.keys.session(sessionId))
      await stage.restartVouched('intact')
      const restored = await until(() => stage.redis.get(stage.keys.restored))
      expect(await stage.seeded()).toBe(false)
      await until(stage.seeded)
      expect((await stage.store.read(sessionId))?.state).toBe('queued')
      expect(restored).toContain(' ')
    })
  },
  LIMIT,
)

describe(
  'a server that is new',
  () => {
    it('needs no wait where its starter vouches for it, and gets back what the ledger has', async (context) => {
      const stage = await openSeeded(context, 'always')
      const sessionId = await stage.accept()
      await stage.settled()
      await stage.redis.flushall()
      await stage.restartVouched('new')
      const began = performance.now()
      await until(stage.seeded)
      expect(performance.now() - began).toBeLessThan(TTL_MS - 300)
      expect((await stage.store.read(sessionId))?.state).toBe('queued')
    })

    it('waits all the same while the ledger knows of a living agent', async (context) => {
      const stage = await openSeeded(context, 'always')
      await stage.startAgent(await stage.accept())
      await stage.settled()
      await stage.redis.flushall()
      await stage.restartVouched('new')
      const restored = await until(() => stage.redis.get(stage.keys.restored))
      const since = Number(restored.split(' ')[2])
      await until(stage.seeded)
      const [seconds, micros] = await stage.redis.time()
      expect(Number(seconds) * 1000 + Number(micros) / 1000 - since).toBeGreaterThanOrEqual(TTL_MS)
    })
  },
  LIMIT,
)

describe(
  'after a failover to a replica that lagged behind',
  () => {
    let replica: TestRedis
    let connection: Redis
    afterEach(async () => {
      connection.disconnect()
      await replica.stop()
    })

    it('takes the place of older hashes, gives no id of the stream twice, opens nothing that has ended', async (context) => {
      const stage = await openSeeded(context)
      const [open, done] = [await stage.accept(), await stage.accept()]
      const agent = await stage.startAgent(open)
      await stage.say(agent, 1, 2)
      replica = await startRedis()
      connection = new Redis(replica.url)
      await stage.redis.config('SET', 'repl-diskless-sync-delay', '0')
      await connection.replicaof('127.0.0.1', String(stage.server.port))
      await until(
        async () => (await connection.hget(stage.keys.session(open), 'line:' + agent.agentId)) === '2',
      )
      // From here on the replica hears nothing more, and the primary goes on (M10).
      await connection.replicaof('NO', 'ONE')
      await stage.say(agent, 3, 4)
      await end(stage, await stage.startAgent(done))
      await stage.settled()
      const position = stage.temp.ledger.tables.position.read(stage.keys.events)?.streamId ?? ''
      const before = await stage.store.read(open)
      const { port } = stage.server
      await stage.killServer()
      await connection.config('SET', 'port', port)
      await until(stage.seeded, { timeoutMs: 15_000 })

      expect(await stage.store.read(open)).toMatchObject({
        seq: before?.seq,
        cursor: 6,
        epoch: before?.epoch,
      })
      expect((await stage.store.read(done))?.state).toBe('completed')
      await stage.accept()
      const [newest] = await stage.redis.xrevrange(stage.keys.events, '+', '-', 'COUNT', 1)
      expect(Number(newest?.[0].split('-')[0])).toBeGreaterThanOrEqual(Number(position.split('-')[0]))
      await stage.settled()
      expect(stage.temp.ledger.tables.faults.count()).toBe(0)
      const next = await stage.startAgent(open)
      expect(next.agentId).not.toBe(agent.agentId)
    })
  },
  LIMIT,
)

import { afterAll, beforeAll, expect, test } from 'vitest'
import type { MailSent } from '../../src/core/mail-events.ts'
import { vouch } from '../../src/queue/incarnation.ts'
import { createMailStore } from '../../src/queue/mail.ts'
import { createMailKeeper } from '../../src/recorder/mail-keeper.ts'
import { until } from '../support/until.ts'
import { openRestoreStage, type RestoreStage } from './restore-stage.ts'

let stage: RestoreStage
beforeAll(async () => {
  stage = await openRestoreStage()
  await vouch(stage.redis, stage.keys, 'new')
})
afterAll(() => stage.close())

test('unread mail of a session that waits for months is in Redis all the time, and what was taken is not', async () => {
  const { redis, keys } = stage
  const recorder = stage.startRecorder()
  await until(stage.seeded)
  const session = await stage.accept()
  const reader = { sessionId: session, agentType: 'architect' }
  const actor = { via: 'cli', name: null } as const
  const mail = createMailStore(redis, keys)
  const send = (id: string, to: Pick<MailSent, 'to_session' | 'to_agent_type'>): Promise<unknown> => {
    const from = { from_session: null, from_agent_type: null, in_reply_to: null, broadcast_id: null }
    const sent = {
      channel: 'mail',
      message_id: id,
      thread_id: id,
      agent_type: 'architect',
      text: id,
    } as const
    return mail.send({ ...sent, ...from, ...to, actor }, null, null)
  }
  const own = { to_session: session, to_agent_type: 'architect' }
  for (const id of ['old', 'gone', 'taken']) {
    await send(id, own)
    // A message's place is its microsecond in Redis; the ledger, which gives it back to one that is gone, has milliseconds.
    const sentAt = Date.now()
    await until(() => Date.now() > sentAt)
  }
  await send('of the type', { to_session: null, to_agent_type: 'architect' })
  const answered = {
    channel: 'mail',
    message_id: 'taken',
    agent_type: 'architect',
    actor,
    reply_id: null,
  } as const
  await mail.take(answered, reader)
  await stage.settled()

  // A month later: what was sent first is about to go, and one is gone already.
  const inbox = keys.inbox(`session:${session}`)
  await redis.expire(keys.message('old'), 60)
  await redis.expire(inbox, 60)
  await redis.del(keys.message('gone'))
  await redis.zrem(inbox, 'gone')
  // The first pass is another board's to make, the second one fails.
  let looks = 0
  let failed = false
  const said: string[] = []
  const keeper = createMailKeeper({
    redis,
    keys,
    ledger: {
      openMails: {
        page(...args) {
          if (!failed) {
            failed = true
            throw new Error('the file is locked')
          }
          return stage.temp.ledger.openMails.page(...args)
        },
      },
    },
    recorder: {
      get recording() {
        return looks++ > 0 && recorder.recording
      },
    },
    log: { warn: (_details: unknown, message?: string) => said.push(String(message)) },
    firstAfterMs: 1,
    retryMs: 1,
    olderThanMs: 0,
  })
  keeper.start()
  await until(async () => (await redis.exists(keys.message('gone'))) === 1)
  expect(said).toEqual([expect.stringContaining('the file is locked')])
  await keeper.stop()
  for (const key of [keys.message('old'), keys.message('gone'), inbox])
    expect(await redis.ttl(key)).toBeGreaterThan(30 * 24 * 3600)
  // That of a type waits for ever.
  expect(await redis.ttl(keys.message('of the type'))).toBe(-1)
  const page = await mail.read(reader, 9, actor)
  expect(page.ok && page.messages.map(({ sent }) => sent.message_id)).toEqual(['old', 'gone', 'of the type'])
})

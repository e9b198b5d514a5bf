import { expect, test } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { newSessionId } from '../../src/core/ids.ts'
import type { AgentExit } from '../../src/guard/client.ts'
import { createLeases } from '../../src/queue/lease.ts'
import { createSessionRequests } from '../../src/queue/session-requests.ts'
import { createPulse } from '../../src/worker/pulse.ts'
import { acceptance, openNamespace } from '../support/namespace.ts'
import { redisOfFile } from '../support/redis-of-file.ts'
import { until } from '../support/until.ts'

const server = await redisOfFile()
const EXIT: AgentExit = { code: 0, signal: null, endedBy: null, processesKilled: 0, killedGracefully: false }

test('the lease is held until what a gone agent has printed is on the stream, and not for one that does not answer', async () => {
  const space = await openNamespace(server.url)
  const session = { sessionId: newSessionId(), agentType: 'architect' }
  await space.store.accept(acceptance(session.sessionId))
  const times = { ttlMs: 60_000, renewMs: 10, marginMs: 10 }
  const leases = createLeases(space.redis, space.keys, times, 'pod', systemClock)
  const lease = await leases.acquire('architect', 1, new AbortController().signal)
  if (lease === null) throw new Error('the lease is taken')
  let renewals = 0
  const errors: unknown[] = []
  const pulse = createPulse({
    store: {
      ...space.store,
      async renew(...args) {
        const renewed = await space.store.renew(...args)
        renewals += 1
        return renewed
      },
    },
    requests: createSessionRequests(space.redis, space.keys),
    times,
    clock: systemClock,
    session,
    extendJobLock: () => Promise.resolve(),
    onCancel: () => undefined,
    onRestart: () => undefined,
    onEnded: () => undefined,
    onLeaseLost: () => undefined,
    onError: (error) => errors.push(error),
  })
  pulse.holdLease(lease)
  const exited = Promise.withResolvers<AgentExit>()
  const agent = {
    acknowledged: 0,
    extend: () => Promise.resolve(false),
    kill: () => undefined,
    exited: exited.promise,
  }
  pulse.watch(
    agent,
    '1',
    () => ({}),
    () => undefined,
  )
  await until(() => errors.length > 2)
  expect(renewals).toBe(1)
  exited.resolve(EXIT)
  await until(() => renewals > 3)
  await pulse.stop()
  space.close()
})

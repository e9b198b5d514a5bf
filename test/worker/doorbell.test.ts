import { expect, test } from 'vitest'
import { Redis } from 'ioredis'
import { keysOf } from '../../src/queue/keys.ts'
import { createDoorbell } from '../../src/worker/doorbell.ts'
import { until } from '../support/until.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const server = await redisOfFile()

test('a ring is heard by whoever waits for that session, and by all after a reconnect', async () => {
  const keys = keysOf('bell')
  const redis = new Redis(server.url)
  const subscriber = new Redis(server.url, { connectionName: 'listener', maxRetriesPerRequest: null })
  subscriber.on('error', () => {})
  const doorbell = await createDoorbell(subscriber, keys)
  const heard: string[] = []
  const off = doorbell.on('one', () => heard.push('one'))
  doorbell.on('two', () => heard.push('two'))

  await redis.publish(keys.doorbell, 'one')
  await redis.publish('elsewhere', 'two')
  await until(() => heard.length === 1)
  expect(heard).toEqual(['one'])

  await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await until(() => heard.length === 3)
  expect(heard.slice(1).toSorted()).toEqual(['one', 'two'])

  off()
  await until(async () => (await redis.publish(keys.doorbell, 'one')) === 1)
  await redis.publish(keys.doorbell, 'two')
  await until(() => heard.length === 4)
  expect(heard[3]).toBe('two')
  doorbell.close()
  subscriber.disconnect()
  redis.disconnect()
})

import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openHouse } from '../support/pod.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

const SECRET = 'canary-4711-canary'

test('neither the events of a session nor the end in its hash hold a secret of the pod', async () => {
  const server = await startRedis()
  const house = await openHouse({ redisUrl: server.url, environment: { ANTHROPIC_API_KEY: SECRET } })
  try {
    await house.startPod()
    const { sessionId } = await house.producer.spawn({
      agentType: 'architect',
      prompt: 'Go.',
      workspaceDir: join(house.workspace, SECRET),
    })
    const hash = house.keys.session(sessionId)
    await until(async () => (await house.redis.hget(hash, 'state')) === 'failed')
    const { ended } = await house.redis.hgetall(hash)
    expect(ended).toContain('[redacted:ANTHROPIC_API_KEY]')
    expect(ended).not.toContain(SECRET)
    const [, ...own] = await house.events(sessionId)
    expect(JSON.stringify(own)).not.toContain(SECRET)
  } finally {
    await house.close()
    await server.stop()
  }
}, 30_000)

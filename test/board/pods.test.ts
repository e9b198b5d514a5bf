import { expect, test } from 'vitest'
import { createPodDirectory } from '../../src/queue/pods.ts'
import { boardOfFile } from './board-of-file.ts'

const { redis, board } = await boardOfFile()

test('pods are listed as they say', async () => {
  expect((await board.get('/api/v1/pods')).body).toEqual({ success: true, pods: [], next_cursor: null })
  const fields = {
    state: 'no_room',
    why: '2 of 2 sessions run.',
    types: 'architect',
    running: 2,
    tier: 'group',
  }
  await createPodDirectory(board.redis, board.keys).write('pod-1', 'i', fields, 60_000)
  const { status, body } = await board.get('/api/v1/pods')
  expect(status).toBe(200)
  expect(body.pods).toMatchObject([
    {
      pod_id: 'pod-1',
      state: 'no_room',
      why: '2 of 2 sessions run.',
      agent_types: ['architect'],
      running: 2,
    },
  ])
})

test('without Redis they are not known', async () => {
  await redis.stop()
  const { status, body } = await board.get('/api/v1/pods')
  expect(status).toBe(503)
  expect(body).toMatchObject({ success: false, error: 'redis_unavailable' })
})

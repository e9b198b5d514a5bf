/** What a session that must not wait is told, against a board without workers: who runs is played. */
import { expect, test } from 'vitest'
import { createPodDirectory } from '../../src/queue/pods.ts'
import type { Answered } from '../board/open-board.ts'
import { boardOfFile } from '../board/board-of-file.ts'

const { board } = await boardOfFile()

const spawn = (agentType: string): Promise<Answered> =>
  board.post('/api/v1/sessions', { agent_type: agentType, prompt: 'Do it', on_busy: 'fail' })

const pod = (id: string, fields: Readonly<Record<string, string | number>>): Promise<void> =>
  createPodDirectory(board.redis, board.keys).write(id, id, { types: 'architect', ...fields }, 60_000)

test('no pod has room: each says what is short; nothing is accepted', async () => {
  await pod('pod-1', {
    state: 'no_room',
    why: 'Too little is free: 120 MB of memory free, 500 are needed.',
    free_memory_mb: 120,
    free_cpu_percent: 80,
    max_sessions: 2,
    running: 1,
  })
  await pod('pod-2', { state: 'no_room', why: '2 of 2 sessions run.', max_sessions: 2, running: 2 })
  await pod('pod-3', { state: 'draining', why: 'It was told to stop.' })
  const { status, body } = await spawn('architect')
  expect({ status, body }).toEqual({
    status: 503,
    body: {
      success: false,
      error: 'resource_exhaustion',
      message:
        'No pod has room for architect. pod-1: Too little is free: 120 MB of memory free, 500 are needed. ' +
        'pod-2: 2 of 2 sessions run. With on_busy "queue" (the default) the session waits for room.',
      agent_type: 'architect',
      retry_after_seconds: 5,
      pods: [
        {
          pod_id: 'pod-1',
          why: 'Too little is free: 120 MB of memory free, 500 are needed.',
          free_cpu_percent: 80,
          free_memory_mb: 120,
          running: 1,
          max_sessions: 2,
        },
        {
          pod_id: 'pod-2',
          why: '2 of 2 sessions run.',
          free_cpu_percent: null,
          free_memory_mb: null,
          running: 2,
          max_sessions: 2,
        },
      ],
    },
  })
  expect((await board.get('/api/v1/sessions')).body.sessions).toEqual([])
  // It may wait, and another type has no such pods.
  const waits = await board.post('/api/v1/sessions', { agent_type: 'architect', prompt: 'Do it' })
  expect(waits).toMatchObject({ status: 202, body: { queue_position: 1 } })
  expect((await spawn('code_developer')).status).toBe(202)
})

test('one pod with room is enough; who waits in line already comes first', async () => {
  await pod('pod-2', { state: 'ready', why: '' })
  expect(await spawn('architect')).toMatchObject({
    status: 409,
    body: { error: 'singleton_violation', existing_agent_id: null },
  })
})

import { afterAll } from 'vitest'
import type { TestRedis } from '../support/redis.ts'
import { redisOfFile } from '../support/redis-of-file.ts'
import { openBoard, type TestBoard, type TestBoardOptions } from './open-board.ts'

/** The board of a test file over a Redis of its own, gone after its last test. */
export async function boardOfFile(
  options?: TestBoardOptions,
): Promise<{ readonly redis: TestRedis; readonly board: TestBoard }> {
  const redis = await redisOfFile()
  const board = await openBoard(redis.url, options)
  afterAll(() => board.stop())
  return { redis, board }
}

import { afterAll } from 'vitest'
import { startRedis, type TestRedis, type TestRedisOptions } from './redis.ts'

/** The Redis of a test file, gone after its last test. */
export async function redisOfFile(options?: TestRedisOptions): Promise<TestRedis> {
  const redis = await startRedis(options)
  afterAll(() => redis.stop())
  return redis
}

/** A Redis in which leases are given, for tests without a recorder. */
import type { Redis } from 'ioredis'
import type { Keys } from '../../src/queue/keys.ts'
import { runIdOf } from '../../src/queue/run-id.ts'

/** What a recorder says when it has nothing to write back: this life of Redis is confirmed. */
export async function seedRedis(redis: Redis, keys: Pick<Keys, 'seeded' | 'quarantine'>): Promise<void> {
  await redis
    .multi()
    .set(keys.seeded, await runIdOf(redis))
    .del(keys.quarantine)
    .exec()
}

/** `/api/v1/pods`: the pods of the namespace, as each says of itself. */
import type { FastifyInstance } from 'fastify'
import type { Redis } from 'ioredis'
import type { Keys } from '../../queue/keys.ts'
import { createPodDirectory } from '../../queue/pods.ts'
import type { ViaRedis } from '../via-redis.ts'

export interface PodRoutesParts {
  readonly redis: Redis
  readonly keys: Keys
  readonly viaRedis: ViaRedis
}

export function podRoutes(app: FastifyInstance, { redis, keys, viaRedis }: PodRoutesParts): void {
  const directory = createPodDirectory(redis, keys)

  app.get('/api/v1/pods', async () => ({
    success: true,
    pods: await viaRedis(directory.list()),
    next_cursor: null,
  }))
}

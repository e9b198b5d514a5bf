/** `/api/v1/pods`: the pods of the namespace, as each says of itself. */
import type { Redis } from 'ioredis'
import { listDocument } from '../../core/documents.ts'
import { podRowSchema } from '../../core/pod-row.ts'
import type { Keys } from '../../queue/keys.ts'
import { createPodDirectory } from '../../queue/pods.ts'
import type { ViaRedis } from '../via-redis.ts'
import type { BoardApp } from '../zod-routes.ts'

export interface PodRoutesParts {
  readonly redis: Redis
  readonly keys: Keys
  readonly viaRedis: ViaRedis
}

export function podRoutes(app: BoardApp, { redis, keys, viaRedis }: PodRoutesParts): void {
  const directory = createPodDirectory(redis, keys)

  app.get(
    '/api/v1/pods',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['Pods'],
        summary: 'Pods, as each says of itself',
        response: { 200: listDocument('pods', podRowSchema) },
      },
    },
    async () => ({ success: true as const, pods: await viaRedis(directory.list()), next_cursor: null }),
  )
}

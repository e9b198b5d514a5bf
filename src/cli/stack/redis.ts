/** Which Redis a role talks to: the configured one, the running `up`'s, or one that `up` brings. */
import { join } from 'node:path'
import type { Config } from '../../config/settings.ts'
import { DroverError } from '../../core/errors.ts'
import type { Vouched } from '../../queue/incarnation.ts'
import { startEmbeddedRedis } from '../../setup/embedded-redis.ts'
import { findRedisServer } from '../../setup/redis-server.ts'
import { findUp } from './up-file.ts'
import { toolsDirOf } from './tools.ts'

/**
 * The address for `worker` and `board`.
 *
 * @throws DroverError `redis_unavailable` where nothing is configured and no `up` runs in the data directory
 */
export async function redisUrlOf(config: Config): Promise<string> {
  if (config.redis.url !== null) return config.redis.url
  const up = await findUp(config.dataDir)
  if (up !== null) return up.redis_url
  throw new DroverError(
    'redis_unavailable',
    `No Redis is configured and no \`drover up\` runs in ${config.dataDir}. Set REDIS_URL (or redis.url in drover.toml), or use \`drover up\`, which brings its own.`,
  )
}

export interface OpenRedis {
  readonly url: string
  /** Resolves when a Redis of our own died; never for a configured one. */
  readonly exited: Promise<void>
  stop(): Promise<void>
}

/**
 * The configured Redis, or one of our own under the data directory.
 *
 * Of our own it is said what its data is, while nobody else knows its address, so that a start need not wait until
 * leases of before are over (`queue/incarnation.ts`). That is true of it because one Drover at a time has the
 * directory (`owner.json`), an earlier server of it was ended before this one was started, and its AOF is on `always`:
 * every lease that was ever answered is in the data. Dying between the start and this: the next start does the same.
 * A configured Redis is never vouched for.
 */
export async function openRedis(
  config: Config,
  searchPath: string,
  say: (line: string) => void,
): Promise<OpenRedis> {
  if (config.redis.url !== null) {
    return { url: config.redis.url, exited: new Promise(() => {}), stop: async () => {} }
  }
  const binary = await findRedisServer({ toolsDir: toolsDirOf(config), searchPath, say })
  const redis = await startEmbeddedRedis({ binary, dir: join(config.dataDir, 'redis'), say })
  try {
    await vouchFor(redis.url, config.namespace, redis.firstStart ? 'new' : 'intact')
    return redis
  } catch (error) {
    await redis.stop()
    throw error
  }
}

/** Says what the data is; see `openRedis`, and `useUp` for a namespace that was made a moment ago. */
export async function vouchFor(url: string, namespace: string, vouched: Vouched): Promise<void> {
  const [{ connectRedis }, { keysOf }, { vouch }] = await Promise.all([
    import('../../queue/connection.ts'),
    import('../../queue/keys.ts'),
    import('../../queue/incarnation.ts'),
  ])
  const redis = await connectRedis({ url, mode: 'fails', name: 'vouch', onError: () => {} })
  try {
    await vouch(redis, keysOf(namespace), vouched)
  } finally {
    redis.disconnect()
  }
}

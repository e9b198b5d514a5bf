import type { Redis } from 'ioredis'

/** The server's `run_id`: another one after each restart and on each replica, so it tells one server's life from the next. */
export async function runIdOf(redis: Redis): Promise<string> {
  const found = /^run_id:(\w+)/m.exec(await redis.info('server'))?.[1]
  if (found === undefined) throw new Error('Redis does not say its run_id (INFO server).')
  return found
}

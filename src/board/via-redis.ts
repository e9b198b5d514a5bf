/** Whatever Redis does not answer is `redis_unavailable`, and nothing was accepted. */
import { isDroverError } from '../core/errors.ts'
import { redisUnavailable } from '../queue/connection.ts'

/** Passes a result and Drover's own errors through. */
export type ViaRedis = <T>(work: Promise<T>) => Promise<T>

export function createViaRedis(redisUrl: string): ViaRedis {
  return async (work) => {
    try {
      return await work
    } catch (error) {
      throw isDroverError(error) ? error : redisUnavailable(redisUrl, error)
    }
  }
}

/** CPU time, in milliseconds. */
import type { Redis } from 'ioredis'

/** Of this process, all its threads, so far. */
export function ownCpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** Of the Redis server, so far; what it forks to rewrite its file is its own affair. */
export async function redisCpuMs(redis: Redis): Promise<number> {
  const info = await redis.info('cpu')
  const seconds = (name: string): number => {
    const value = new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1]
    if (value === undefined) throw new Error(`Redis does not say ${name}`)
    return Number(value)
  }
  return (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1000
}

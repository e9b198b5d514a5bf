/**
 * Which session's agent waits for which session, over all boards and producers of a namespace. Each wait is renewed
 * while it lasts; what a process that died has left goes by itself, after a time in which its caller comes back.
 */
import type { Redis } from 'ioredis'
import type { SessionWait, WaitingSession } from '../core/ring.ts'
import { newId } from '../core/ids.ts'
import { SESSION_STATES } from '../core/state.ts'
import type { Keys } from './keys.ts'

/** Milliseconds without a renewal, after which a wait counts as over. */
const TTL_MS = 15_000

const NOW = `local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
`
const KEEP = `${NOW}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])`
const LIST = `${NOW}
return redis.call('ZRANGEBYSCORE', KEYS[1], string.format('%.0f', now), '+inf')`

export interface WaitStore {
  /** From now on it is known, until the answered function is called. */
  keep(wait: SessionWait): Promise<() => void>
  list(): Promise<readonly SessionWait[]>
  /** Of those ids the ones that Redis knows. */
  sessions(ids: readonly string[]): Promise<ReadonlyMap<string, WaitingSession>>
}

export function createWaitStore(
  redis: Redis,
  keys: Pick<Keys, 'waits' | 'session'>,
  onError: (error: unknown) => void,
): WaitStore {
  return {
    async keep({ waiter, awaited }) {
      const member = `${waiter} ${awaited} ${newId()}`
      const renew = async (): Promise<void> => void (await redis.eval(KEEP, 1, keys.waits, member, TTL_MS))
      await renew()
      const renewal = setInterval(() => void renew().catch(onError), TTL_MS / 3)
      return () => {
        clearInterval(renewal)
        redis.zrem(keys.waits, member).catch(onError)
      }
    },

    async list() {
      const members = (await redis.eval(LIST, 1, keys.waits)) as readonly string[]
      return members.map((member) => {
        const [waiter = '', awaited = ''] = member.split(' ')
        return { waiter, awaited }
      })
    },

    async sessions(ids) {
      const found = await Promise.all(
        ids.map(async (sessionId) => {
          const [name, agentType] = await redis.hmget(keys.session(sessionId), 'state', 'agent_type')
          const state = SESSION_STATES.find((known) => known === name)
          return state === undefined || !agentType ? [] : [{ sessionId, agentType, state }]
        }),
      )
      return new Map(found.flat().map((session) => [session.sessionId, session]))
    },
  }
}

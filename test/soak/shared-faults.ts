/** Faults of what all pods share: Redis and the board with its recorder. */
import { signalAll } from '../fault/rig/processes.ts'
import { until } from '../support/until.ts'
import type { Arena, Fault } from './arena.ts'
import type { FaultKind } from './fault-kinds.ts'

/** Redis may be away for as long as a fault of it lasts. */
const START_MS = 60_000
/** After Redis came back empty nothing else happens for so many leases: see `wiping`. */
const ALONE_LEASES = 4

const alone =
  (what: 'redis' | 'board', act: (arena: Arena, ms: number) => Promise<void>): Fault =>
  async (arena, random) => {
    if (arena.taken.has(what)) return false
    arena.taken.add(what)
    try {
      await act(arena, arena.someTime(random))
      return true
    } finally {
      arena.taken.delete(what)
    }
  }

/** Somebody's outgoing connection may have its port for a moment. */
const startAgain = ({ field }: Arena, options: { readonly empty?: boolean } = {}): Promise<unknown> =>
  until(() => field.startRedisAgain(options).then(() => true), {
    timeoutMs: START_MS,
    message: 'Redis to start again',
  })

const pausing = (kind: FaultKind, what: 'redis' | 'board', pidOf: (arena: Arena) => number): Fault =>
  alone(what, async (arena, ms) => {
    const pid = pidOf(arena)
    const over = arena.begin(kind, what, { pid, ms })
    signalAll([pid], 'SIGSTOP')
    await arena.pause(ms)
    signalAll([pid], 'SIGCONT')
    over()
  })

/**
 * Redis loses everything while nothing else is wrong. What the recorder has and what living pods have sent and not
 * seen recorded is all that is left; a pod that dies in the same moment takes its part with it, and nobody promises
 * otherwise. `nemesis.ts` lets a wipe begin only when no other fault is on.
 */
const wiping = (kind: FaultKind, wipe: (arena: Arena) => Promise<void>): Fault =>
  alone('redis', async (arena) => {
    const over = arena.begin(kind, 'redis')
    await wipe(arena)
    // Afterwards: until then somebody was still answered.
    arena.wipes.push(arena.field.now())
    await arena.pause(ALONE_LEASES * arena.field.times.ttlMs)
    over()
  })

export const SHARED_FAULTS = {
  'redis-kill': alone('redis', async (arena, ms) => {
    const over = arena.begin('redis-kill', 'redis', { ms })
    await arena.field.killRedis()
    await arena.pause(ms)
    await startAgain(arena)
    over()
  }),
  'redis-stop': pausing('redis-stop', 'redis', ({ field }) => field.redisPid()),
  'redis-flush': wiping('redis-flush', async ({ field }) => void (await field.redis.flushall())),
  'redis-empty': wiping('redis-empty', async (arena) => {
    await arena.field.killRedis()
    await startAgain(arena, { empty: true })
  }),
  'board-kill': alone('board', async (arena, ms) => {
    const over = arena.begin('board-kill', 'board', { ms })
    await arena.field.board().kill()
    await arena.pause(ms)
    await until(() => arena.field.startBoard(), { timeoutMs: START_MS, message: 'the board to start' })
    over()
  }),
  'board-stop': pausing('board-stop', 'board', ({ field }) => field.board().pid),
} satisfies Partial<Record<FaultKind, Fault>>

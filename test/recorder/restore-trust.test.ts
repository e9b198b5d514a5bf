import { afterEach, expect, it } from 'vitest'
import { sleep, systemClock } from '../../src/core/clock.ts'
import { vouch } from '../../src/queue/incarnation.ts'
import { until } from '../support/until.ts'
import { openRestoreStage, PREFIX, TRUST_MS, TTL_MS, type RestoreStage } from './restore-stage.ts'

let stage: RestoreStage
afterEach(() => stage.close())

/** A time in which a holder trusted its lease: monotonic milliseconds. */
interface Trust {
  readonly from: number
  until: number
}

/** As pods do it: take the lease, start an agent, renew; some give it back, some die with it. */
async function hold(n: number, over: AbortSignal, trusts: Trust[], epochs: number[]): Promise<void> {
  const { store, leases } = stage
  for (let round = 0; !over.aborted; round++) {
    const sessionId = await stage.accept()
    const lease = await leases.acquire('architect', 1, over)
    if (lease === null) return
    const trust: Trust = { from: systemClock.monotonic(), until: lease.trustedUntil }
    trusts.push(trust)
    const session = { sessionId, agentType: 'architect' }
    const started = await store.start(session, {
      leaseKey: lease.key,
      token: lease.token,
      agentIdPrefix: PREFIX,
      set: {},
      events: [],
    })
    if (started.ok) epochs.push(Number(started.epoch))
    const epoch = started.ok ? started.epoch : ''
    for (let beat = 0; beat < 3; beat++) {
      await sleep(TTL_MS / 8, over)
      const attempt = systemClock.monotonic()
      if (attempt > trust.until) break
      const renewed = await store.renew(
        { ...session, epoch },
        { leaseKey: lease.key, token: lease.token, ttlMs: TTL_MS, beat: {} },
      )
      if (renewed.ok) trust.until = Math.max(trust.until, attempt + TRUST_MS)
      else if (renewed.refused === 'lease') break
    }
    // Every third one dies: it trusts its lease to the last.
    if ((n + round) % 3 === 0) continue
    trust.until = Math.min(trust.until, systemClock.monotonic())
    await lease.release()
  }
}

it('no two holders ever trust a lease at once, and no epoch comes twice, however Redis loses its data', async () => {
  stage = await openRestoreStage()
  await vouch(stage.redis, stage.keys, 'new')
  stage.startRecorder()
  const over = new AbortController()
  const trusts: Trust[] = []
  const epochs: number[] = []
  const holders = [0, 1, 2, 3].map((n) => hold(n, over.signal, trusts, epochs))
  const taken = async (more: number): Promise<void> => {
    const before = trusts.length
    await until(() => trusts.length >= before + more, { timeoutMs: 20_000 })
  }

  await taken(3)
  await stage.redis.flushall()
  await taken(3)
  await stage.restart()
  await taken(3)
  await stage.redis.flushall()
  await until(() => stage.redis.get(stage.keys.restored))
  await stage.restart()
  await taken(3)
  over.abort()
  await Promise.all(holders)

  const inOrder = trusts.toSorted((a, b) => a.from - b.from)
  const overlaps = inOrder.filter((trust, index) => trust.from < (inOrder[index - 1]?.until ?? 0))
  expect(overlaps).toEqual([])
  expect(epochs.length).toBeGreaterThan(8)
  expect(epochs).toEqual([...new Set(epochs)].toSorted((a, b) => a - b))
}, 60_000)

/** What every benchmark runs on: a Redis with AOF `always`, a directory, and everything put away at the end. */
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { startRedis } from '../test/support/redis.ts'

export interface Stage {
  readonly redis: Redis
  readonly redisUrl: string
  /** Of this stage alone. */
  readonly dir: string
  /** One or two iterations: to see that a benchmark works, not what it measures. */
  readonly quick: boolean
  /** Where the ledger of `big-ledger` is kept; null: it is made for the run. */
  readonly ledgerDir: string | null
  /** How often ours and the bare thing are measured, in turns. */
  readonly pairs: number
  /** `action` is called when the stage is closed, the last one first; at once where that has begun. */
  defer(action: () => unknown): void
  /** Ends and removes everything. Safe to call twice; resolves when nothing is left. */
  close(): Promise<void>
}

/** What is printed as a measurement needs 20 pairs at least. */
const PAIRS = 24
const QUICK_PAIRS = 2

export async function openStage({ quick, ledgerDir }: Pick<Stage, 'quick' | 'ledgerDir'>): Promise<Stage> {
  const actions: (() => unknown)[] = []
  let closing: Promise<void> | null = null

  const failures: unknown[] = []
  const run = async (action: () => unknown): Promise<void> => {
    try {
      await action()
    } catch (error) {
      failures.push(error)
    }
  }
  async function close(): Promise<void> {
    for (let action = actions.pop(); action !== undefined; action = actions.pop()) await run(action)
    if (failures.length > 0) throw new AggregateError(failures, 'A benchmark could not be put away.')
  }

  // The real path: the CLI and /proc name directories by it.
  const dir = await realpath(await mkdtemp(join(tmpdir(), 'drover-bench-')))
  actions.push(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
  try {
    const redisDir = join(dir, 'redis')
    await mkdir(redisDir)
    const server = await startRedis({ aof: 'always', dir: redisDir })
    actions.push(() => server.stop())
    const redis = new Redis(server.url)
    actions.push(() => redis.disconnect())
    return {
      redis,
      redisUrl: server.url,
      dir,
      quick,
      ledgerDir,
      pairs: quick ? QUICK_PAIRS : PAIRS,
      defer: (action) => {
        if (closing === null) actions.push(action)
        else void run(action)
      },
      close: () => (closing ??= close()),
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Measures ours and the bare thing `pairs` times, in turns, so that neither has the quieter half of the run. */
export async function measurePairs<Ours, Bare>(
  pairs: number,
  ours: () => Promise<Ours>,
  bare: () => Promise<Bare>,
): Promise<readonly { readonly ours: Ours; readonly bare: Bare }[]> {
  const measured: { ours: Ours; bare: Bare }[] = []
  for (let pair = 0; pair < pairs; pair++) {
    if (pair % 2 === 0) {
      const first = await bare()
      measured.push({ bare: first, ours: await ours() })
    } else {
      const first = await ours()
      measured.push({ ours: first, bare: await bare() })
    }
  }
  return measured
}

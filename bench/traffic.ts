/**
 * What a running session that says nothing costs Redis: the renewals of its lease and of its job's lock, its beat. With
 * the default times, on a pod with a session of each type.
 *
 * Counted with MONITOR, which shows each command with who sent it: a client, or a script. (`total_commands_processed`
 * counts both alike, and says of none whose it is.) A client's command is a session's when it names it; what a script
 * calls belongs to the command that runs it, because nothing comes between.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { createProducer } from '../src/index.ts'
import { keysOf } from '../src/queue/keys.ts'
import { FAKE_CLAUDE, fakePrompt } from '../test/support/fake-claude.ts'
import { until } from '../test/support/until.ts'
import { monitor } from './monitor.ts'
import { summarize, type Result } from './report.ts'
import type { Stage } from './stage.ts'
import { startWorker, type BenchWorker } from './worker.ts'

const NAMESPACE = 'bench-traffic'
const TYPES = 8
const QUICK_TYPES = 3
/** Four renewals. */
const WINDOW_MS = 30_000
const QUICK_WINDOW_MS = 10_000
/** Longer than all that is measured here. */
const SILENCE_MS = 600_000
/** Conversations are copied every 5 s; after that nothing is left to send. */
const SETTLE_TIMEOUT_MS = 20_000

/** Per second. */
interface Traffic {
  /** Commands of clients, of the whole pod. */
  readonly pod: number
  /** Commands of clients that name a session, in the order of the sessions. */
  readonly sessions: readonly number[]
  /** What the scripts of those call, over all sessions. */
  readonly inside: number
}

export async function benchTraffic(stage: Stage): Promise<readonly Result[]> {
  const types = Array.from({ length: stage.quick ? QUICK_TYPES : TYPES }, (_, index) => `type-${index + 1}`)
  const windowMs = stage.quick ? QUICK_WINDOW_MS : WINDOW_MS
  const spec = { description: 'The fake CLI, which says nothing', model: 'sonnet' }
  const worker = await startWorker(stage, {
    namespace: NAMESPACE,
    claude: FAKE_CLAUDE,
    agentTypes: Object.fromEntries(types.map((name) => [name, spec])),
    env: { ANTHROPIC_API_KEY: 'none' },
  })
  const idle = await watchTraffic(stage, [], windowMs)
  const sessionIds = await startSilent(stage, worker, types)
  const running = await watchTraffic(stage, sessionIds, windowMs)
  const each = (perSecond: number): number => perSecond / types.length
  return [
    {
      bench: 'traffic',
      title: `Redis commands that a silent session costs, ${types.length} of them on a pod, default times`,
      unit: 'commands/s',
      measured: summarize(running.sessions),
      goal: { op: '<=', value: 1, always: true },
      details: [
        { label: 'called inside their scripts', value: each(running.inside), unit: '/s each' },
        { label: 'the whole pod', value: each(running.pod), unit: '/s for each type' },
        { label: 'the same pod idle', value: each(idle.pod), unit: '/s for each type' },
        { label: 'more than idle', value: each(running.pod - idle.pod), unit: '/s each' },
      ],
    },
  ]
}

/** A session of each type; resolves with their ids when all have become silent. */
async function startSilent(
  stage: Stage,
  { workspace }: BenchWorker,
  types: readonly string[],
): Promise<readonly string[]> {
  const producer = createProducer({ redisUrl: stage.redisUrl, namespace: NAMESPACE })
  try {
    const prompt = fakePrompt({ silence_ms: SILENCE_MS })
    const spawned = await Promise.all(
      types.map((agentType) =>
        producer.spawn({ agentType, prompt, workspaceDir: workspace, wait: 'started' }),
      ),
    )
    const ids = spawned.map(({ sessionId }) => sessionId)
    const copies = ids.map((id) => keysOf(NAMESPACE).transcript(id))
    await until(async () => (await stage.redis.exists(...copies)) === copies.length, {
      timeoutMs: SETTLE_TIMEOUT_MS,
      message: 'the conversations to be copied',
    })
    return ids
  } finally {
    // Before the counting begins: its own commands are nobody's traffic.
    await producer.close()
  }
}

async function watchTraffic(
  { redisUrl }: Stage,
  sessionIds: readonly string[],
  windowMs: number,
): Promise<Traffic> {
  let pod = 0
  let inside = 0
  const sessions = sessionIds.map(() => 0)
  let owner = -1
  const stop = await monitor(redisUrl, ({ source, words }) => {
    if (source === 'script') {
      if (owner >= 0) inside++
      return
    }
    pod++
    owner = sessionIds.findIndex((id) => words.includes(id))
    if (owner >= 0) sessions[owner] = (sessions[owner] ?? 0) + 1
  })
  try {
    await delay(windowMs)
  } finally {
    await stop()
  }
  const perSecond = (count: number): number => (count * 1000) / windowMs
  return { pod: perSecond(pod), sessions: sessions.map(perSecond), inside: perSecond(inside) }
}

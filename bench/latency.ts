/**
 * How late an event is: from the moment when the agent prints the line, to the commit that holds it (as the recorder
 * announces it), and to a client that follows the session over HTTP. Real pod, real board, the fake CLI: ten agents
 * that print 2,000 lines a second together, each line with its own time.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { createProducer } from '../src/index.ts'
import { vouch } from '../src/queue/incarnation.ts'
import { keysOf, type Keys } from '../src/queue/keys.ts'
import { compareStreamIds } from '../src/recorder/stream-id.ts'
import { FAKE_CLAUDE, fakePrompt } from '../test/support/fake-claude.ts'
import { until } from '../test/support/until.ts'
import { startBoard } from './board.ts'
import { summarize, type Result } from './report.ts'
import type { Stage } from './stage.ts'
import { startWorker } from './worker.ts'

const NAMESPACE = 'bench-latency'
const AGENTS = 10
/** A timer of Node is up to 1 ms late: a little less than 5 ms for 200 lines a second. */
const PAUSE_MS = 4
const LINES = 4000
const QUICK_LINES = 200
/** All agents start at once; what is late because of that is no latency of events. */
const WARM_UP_MS = 3000
const QUICK_WARM_UP_MS = 0
const TIMEOUT_MS = 120_000
const STAMP = /"text":"at (\d+(?:\.\d+)?)"/

const now = (): number => performance.timeOrigin + performance.now()

/** A line that was printed at `printed` and is at stream id `id`, or came at `came`; ms since 1970. */
interface Published {
  readonly id: string
  readonly printed: number
}
interface Received {
  readonly came: number
  readonly printed: number
}

export async function benchLatency(stage: Stage): Promise<readonly Result[]> {
  const types = Array.from({ length: AGENTS }, (_, index) => `type-${index + 1}`)
  const spec = { description: 'The fake CLI, which talks', model: 'sonnet' }
  const keys = keysOf(NAMESPACE)
  await vouch(stage.redis, keys, 'new')
  const board = await startBoard(stage, { namespace: NAMESPACE, dataDir: `${stage.dir}/board` })
  const { workspace } = await startWorker(stage, {
    namespace: NAMESPACE,
    claude: FAKE_CLAUDE,
    agentTypes: Object.fromEntries(types.map((name) => [name, spec])),
    env: { ANTHROPIC_API_KEY: 'none', DROVER_MAX_SESSIONS: String(AGENTS) },
  })
  const producer = createProducer({ redisUrl: stage.redisUrl, namespace: NAMESPACE })
  stage.defer(() => producer.close())
  const watch = await watchStream(stage, keys)
  const lines = stage.quick ? QUICK_LINES : LINES
  const prompt = fakePrompt({ lines, delay_ms: PAUSE_MS, stamped: true })
  const received: Received[] = []
  const spawned = await Promise.all(
    types.map((agentType) => producer.spawn({ agentType, prompt, workspaceDir: workspace })),
  )
  await Promise.all(spawned.map(({ sessionId }) => follow(board, sessionId, received)))
  const { published, commits } = await watch.end(lines * AGENTS)

  const first = Math.min(...received.map(({ printed }) => printed))
  const last = received.reduce((latest, { printed }) => Math.max(latest, printed), 0)
  const from = first + (stage.quick ? QUICK_WARM_UP_MS : WARM_UP_MS)
  const isCounted = ({ printed }: { readonly printed: number }): boolean => printed >= from
  const rate = (received.length * 1000) / (last - first)
  const toClient = received.filter(isCounted).map(({ came, printed }) => came - printed)
  const toLedger = committed(published.filter(isCounted), commits)
  return [
    result('from the agent to the commit', toLedger, 500, rate),
    result('from the agent to a client that follows over HTTP', toClient, 100, rate),
  ]
}

function result(what: string, values: readonly number[], goalMs: number, rate: number): Result {
  return {
    bench: 'latency',
    title: `a line's way ${what}`,
    unit: 'ms',
    measured: summarize(values),
    goal: { op: '<=', value: goalMs, p99: true },
    details: [{ label: 'printed', value: rate, unit: 'lines/s' }],
  }
}

interface Commit {
  readonly id: string
  readonly at: number
}

/** Both are in the order of the stream. */
function committed(published: readonly Published[], commits: readonly Commit[]): number[] {
  let next = 0
  return published.map(({ id, printed }) => {
    while (compareStreamIds(commits[next]?.id ?? '', id) < 0) {
      next++
      if (next >= commits.length) throw new Error('a line was never announced as recorded')
    }
    return (commits[next]?.at ?? Number.NaN) - printed
  })
}

/** Reads the stream and what the recorder announces, beside both. */
async function watchStream(
  { redis, defer }: Stage,
  keys: Keys,
): Promise<{ end(count: number): Promise<{ published: Published[]; commits: Commit[] }> }> {
  const published: Published[] = []
  const commits: Commit[] = []
  const announced = redis.duplicate()
  const reading = redis.duplicate()
  defer(() => announced.disconnect())
  defer(() => reading.disconnect())
  announced.on('message', (_channel, id: string) => commits.push({ id, at: now() }))
  await announced.subscribe(keys.recorded)
  const over = new AbortController()
  const run = async (): Promise<void> => {
    let cursor = '0-0'
    while (!over.signal.aborted) {
      const answer = await reading.xread('COUNT', 5000, 'BLOCK', 200, 'STREAMS', keys.events, cursor)
      for (const [id, fields] of answer?.[0]?.[1] ?? []) {
        cursor = id
        const stamp = STAMP.exec(fields[1] ?? '')
        if (stamp !== null) published.push({ id, printed: Number(stamp[1]) })
      }
      // In gulps: one wake-up for each event would take the time that is measured.
      await delay(100)
    }
  }
  const running = run()
  return {
    async end(count) {
      const isRecorded = (): boolean => {
        const [line, commit] = [published.at(-1), commits.at(-1)]
        if (published.length < count || line === undefined || commit === undefined) return false
        return compareStreamIds(commit.id, line.id) >= 0
      }
      await until(isRecorded, { timeoutMs: TIMEOUT_MS, message: 'all lines to be recorded' })
      over.abort()
      await running
      return { published, commits }
    },
  }
}

/** Until the session's end. */
async function follow(board: string, sessionId: string, received: Received[]): Promise<void> {
  const url = `${board}/api/v1/sessions/${sessionId}/events`
  const headers = { accept: 'text/event-stream' }
  // The session is known to the board as soon as it is recorded.
  const answer = await until(
    async () => {
      const response = await fetch(url, { headers })
      if (response.ok) return response
      await response.body?.cancel()
      return null
    },
    { message: `the events of ${sessionId}` },
  )
  let rest = ''
  for await (const text of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const came = now()
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const stamp = STAMP.exec(line)
      if (stamp !== null) received.push({ came, printed: Number(stamp[1]) })
    }
  }
}

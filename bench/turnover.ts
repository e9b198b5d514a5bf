/**
 * How long an agent type stands still between two sessions: from the end of the old process to the beginning of the
 * new one. Against bare BullMQ with the same limits: from the end of one job's processor to the start of the next.
 *
 * What the CLI itself does is no part of it: its time ends where it calls exit, and begins where the program of the new
 * process runs. Its death, that it is noticed, and fork and exec are part of it (6 ms for a bare `node`).
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { sleep } from '../src/core/clock.ts'
import { splitEvent } from '../src/core/envelope.ts'
import { createProducer } from '../src/index.ts'
import { keysOf } from '../src/queue/keys.ts'
import { FAKE_CLAUDE, fakePrompt } from '../test/support/fake-claude.ts'
import { median, summarize, type Result } from './report.ts'
import { measurePairs, type Stage } from './stage.ts'
import { startWorker } from './worker.ts'

/** Long enough that the second is in the queue before the first has ended. */
const TURN_MS = 100
/** Of two sessions: some twenty each. */
const RECENT_EVENTS = 100
const PRELOADED = new URL('process-times.mjs', import.meta.url).href

/** Milliseconds, from the end of the old process on. */
interface Turnover {
  /** The old session's end is on the event stream. */
  readonly ended: number
  /** The next session has its epoch, and its process is asked for. */
  readonly spawned: number
  /** The new process has begun. */
  readonly began: number
}

export async function benchTurnover(stage: Stage): Promise<readonly Result[]> {
  const ours = await prepareOurs(stage)
  const bare = await prepareBare(stage)
  await ours()
  await bare()
  const measured = await measurePairs(stage.pairs, ours, bare)
  const of = (value: keyof Turnover): number => median(measured.map((pair) => pair.ours[value]))
  return [
    {
      bench: 'turnover',
      title: 'from the end of one process to the beginning of the next of its type, against bare BullMQ',
      unit: 'ms',
      measured: summarize(measured.map((pair) => pair.ours.began - pair.bare)),
      goal: { op: '<=', value: 50 },
      details: [
        { label: 'BullMQ', value: median(measured.map((pair) => pair.bare)), unit: 'ms' },
        { label: 'Drover', value: of('began'), unit: 'ms' },
        { label: 'its end recorded after', value: of('ended'), unit: 'ms' },
        { label: 'the next one asked for after', value: of('spawned'), unit: 'ms' },
      ],
    },
  ]
}

/** Runs two sessions, one after the other. */
async function prepareOurs(stage: Stage): Promise<() => Promise<Turnover>> {
  const timesFile = join(stage.dir, 'times.ndjson')
  const worker = await startWorker(stage, {
    namespace: 'bench-turnover',
    claude: FAKE_CLAUDE,
    agentTypes: {
      bench: {
        description: 'The fake CLI, which writes down its times',
        model: 'sonnet',
        env: { SET: { NODE_OPTIONS: `--import=${PRELOADED}`, BENCH_TIMES_FILE: timesFile } },
      },
    },
    env: { ANTHROPIC_API_KEY: 'none' },
  })
  const producer = createProducer({ redisUrl: stage.redisUrl, namespace: worker.namespace })
  stage.defer(() => producer.close())
  const prompt = fakePrompt({ silence_ms: TURN_MS })
  const spawn = () => producer.spawn({ agentType: 'bench', prompt, workspaceDir: worker.workspace })

  return async () => {
    const sessions = await Promise.all([spawn(), spawn()])
    const results = await Promise.all(sessions.map(({ sessionId }) => producer.result(sessionId)))
    const failed = results.find(({ success }) => !success)
    if (failed !== undefined) throw new Error(`a session failed: ${failed.message}`)
    const [first, second] = (await readTimes(timesFile)).slice(-2)
    if (first === undefined || second === undefined) throw new Error('the fake CLI has written no times')
    if (second.began < first.left) throw new Error('two agents of one type ran at once')
    const after = async (sessionId: string, type: string): Promise<number> =>
      (await appendedAt(stage, worker.namespace, sessionId, type)) - first.left
    return {
      ended: await after(first.session_id, 'drover.session.ended'),
      spawned: await after(second.session_id, 'drover.agent.spawned'),
      began: second.began - first.left,
    }
  }
}

/** What `process-times.mjs` writes. */
interface ProcessTimes {
  readonly session_id: string
  readonly began: number
  readonly left: number
}

async function readTimes(file: string): Promise<ProcessTimes[]> {
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line) as ProcessTimes)
}

/** Milliseconds since 1970, by the clock of Redis, which is this machine's. */
async function appendedAt(
  { redis }: Stage,
  namespace: string,
  sessionId: string,
  type: string,
): Promise<number> {
  const entries = await redis.xrevrange(keysOf(namespace).events, '+', '-', 'COUNT', RECENT_EVENTS)
  const found = entries.find(([, [, text = '']]) => {
    const { header } = splitEvent(text)
    return header.session_id === sessionId && header.type === type
  })
  if (found === undefined) throw new Error(`session ${sessionId} has no event ${type}`)
  return Number(found[0].split('-')[0])
}

interface JobTimes {
  readonly began: number
  readonly left: number
}

/** Two jobs under global concurrency 1; answers the time between their processors. */
async function prepareBare(stage: Stage): Promise<() => Promise<number>> {
  const connect = (): Redis => {
    const connection = new Redis(stage.redisUrl, { maxRetriesPerRequest: null })
    stage.defer(() => connection.disconnect())
    return connection
  }
  const queue = new Queue('bare', { connection: connect() })
  stage.defer(() => queue.close())
  await queue.setGlobalConcurrency(1)
  let times: JobTimes[] = []
  const worker = new Worker(
    'bare',
    async () => {
      const began = performance.now()
      await sleep(TURN_MS)
      times.push({ began, left: performance.now() })
    },
    { connection: connect(), concurrency: 1 },
  )
  stage.defer(() => worker.close())
  await worker.waitUntilReady()

  return async () => {
    times = []
    const done = new Promise<void>((resolve) => {
      const count = (): void => {
        if (times.length < 2) return
        worker.off('completed', count)
        resolve()
      }
      worker.on('completed', count)
    })
    await queue.addBulk([
      { name: 'first', data: {} },
      { name: 'second', data: {} },
    ])
    await done
    const [first, second] = times
    if (first === undefined || second === undefined) throw new Error('BullMQ ran fewer than two jobs')
    return second.began - first.left
  }
}

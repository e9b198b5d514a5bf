/**
 * From a task's completion to the beginning of its dependent's process: a chain of tasks of two types in turns, a real
 * board that dispatches them, a real pod, the fake CLI. It begins where the task's end is on the event stream; it is
 * recorded, the next task is found ready, accepted, queued and claimed, and its process runs. Beside it from the end of
 * the old process.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { splitEvent } from '../src/core/envelope.ts'
import { keysOf } from '../src/queue/keys.ts'
import { vouch } from '../src/queue/incarnation.ts'
import { FAKE_CLAUDE, fakePrompt } from '../test/support/fake-claude.ts'
import { until } from '../test/support/until.ts'
import { startBoard } from './board.ts'
import { ask } from './http.ts'
import { median, summarize, type Result } from './report.ts'
import type { Stage } from './stage.ts'
import { startWorker } from './worker.ts'

const NAMESPACE = 'bench-dependent'
const TYPES = ['odd', 'even']
const TURN_MS = 50
const WARM_UP = 2
const TIMEOUT_MS = 120_000
const PRELOADED = new URL('process-times.mjs', import.meta.url).href

export async function benchDependent(stage: Stage): Promise<readonly Result[]> {
  const timesFile = join(stage.dir, 'times.ndjson')
  const keys = keysOf(NAMESPACE)
  await vouch(stage.redis, keys, 'new')
  const board = await startBoard(stage, { namespace: NAMESPACE, dataDir: `${stage.dir}/board` })
  const spec = {
    description: 'The fake CLI, which writes down its times',
    model: 'sonnet',
    env: { SET: { NODE_OPTIONS: `--import=${PRELOADED}`, BENCH_TIMES_FILE: timesFile } },
  }
  const { workspace } = await startWorker(stage, {
    namespace: NAMESPACE,
    claude: FAKE_CLAUDE,
    agentTypes: Object.fromEntries(TYPES.map((name) => [name, spec])),
    env: { ANTHROPIC_API_KEY: 'none' },
  })
  const count = stage.pairs + WARM_UP
  const tasks = Array.from({ length: count + 1 }, (_, index) => ({
    task_id: `TASK-${index}`,
    agent_type: TYPES[index % TYPES.length],
    prompt: fakePrompt({ silence_ms: TURN_MS }),
    workspace_dir: workspace,
    depends_on: index === 0 ? [] : [`TASK-${index - 1}`],
  }))
  await ask(`${board}/api/v1/tasks`, { tasks })
  const last = `${board}/api/v1/tasks/TASK-${count}`
  await until(async () => (await ask(last)).document.task.status === 'completed', {
    timeoutMs: TIMEOUT_MS,
    message: 'the last task to be completed',
  })

  const times = await readTimes(timesFile)
  const seen = await readStream(stage, keys.events)
  const waits = Array.from({ length: count }, (_, index) => {
    const [before, after] = [seen.get(`TASK-${index}`), seen.get(`TASK-${index + 1}`)]
    const [old, next] = [times.get(before?.sessionId ?? ''), times.get(after?.sessionId ?? '')]
    if (before === undefined || after === undefined || old === undefined || next === undefined)
      throw new Error(`TASK-${index} or the next one was not seen`)
    return {
      began: next.began - before.endedAt,
      fromExit: next.began - old.left,
      dispatched: after.spawnedAt - before.endedAt,
    }
  }).slice(WARM_UP)
  return [
    {
      bench: 'dependent',
      title: "from a task's completion to the beginning of its dependent's process",
      unit: 'ms',
      measured: summarize(waits.map(({ began }) => began)),
      goal: { op: '<=', value: 150 },
      details: [
        { label: 'dispatched after', value: median(waits.map(({ dispatched }) => dispatched)), unit: 'ms' },
        {
          label: "from the old process's end",
          value: median(waits.map(({ fromExit }) => fromExit)),
          unit: 'ms',
        },
      ],
    },
  ]
}

/** What `process-times.mjs` writes, by session. */
interface ProcessTimes {
  readonly session_id: string
  readonly began: number
  readonly left: number
}

async function readTimes(file: string): Promise<ReadonlyMap<string, ProcessTimes>> {
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
  return new Map(
    lines.map((line) => {
      const times = JSON.parse(line) as ProcessTimes
      return [times.session_id, times]
    }),
  )
}

interface TaskTimes {
  sessionId: string
  spawnedAt: number
  endedAt: number
}

/** When each task got its session and ended, by the clock of Redis, which is this machine's. */
async function readStream({ redis }: Stage, stream: string): Promise<ReadonlyMap<string, TaskTimes>> {
  const tasks = new Map<string, TaskTimes>()
  for (const [id, fields] of await redis.xrange(stream, '-', '+')) {
    const { header, payloadText } = splitEvent(fields[1] ?? '')
    if (header.type !== 'drover.task.spawned' && header.type !== 'drover.task.ended') continue
    const { task_id }: { readonly task_id: string } = JSON.parse(payloadText)
    const task = tasks.get(task_id) ?? { sessionId: '', spawnedAt: 0, endedAt: 0 }
    const at = Number(id.split('-')[0])
    if (header.type === 'drover.task.spawned')
      Object.assign(task, { sessionId: header.session_id, spawnedAt: at })
    else task.endedAt = at
    tasks.set(task_id, task)
  }
  return tasks
}

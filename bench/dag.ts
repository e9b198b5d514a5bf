/**
 * 1,000 tasks of 20 types that wait for one another: a real board that dispatches them, a real pod, 1,000 processes of
 * the fake CLI. What is measured is how many a second; that they ran in the order of their dependencies, each once, is
 * checked by the clock of the processes, and anything else breaks the benchmark.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { vouch } from '../src/queue/incarnation.ts'
import { keysOf } from '../src/queue/keys.ts'
import { createRandom } from '../test/fault/rig/random.ts'
import { FAKE_CLAUDE, fakePrompt, readWitness, violations } from '../test/support/fake-claude.ts'
import { orderViolations, randomDag } from '../test/support/task-dag.ts'
import { until } from '../test/support/until.ts'
import { startBoard } from './board.ts'
import { ask } from './http.ts'
import { summarize, type Result } from './report.ts'
import type { Stage } from './stage.ts'
import { startWorker } from './worker.ts'

const NAMESPACE = 'bench-dag'
const TYPES = Array.from({ length: 20 }, (_, index) => `type_${String(index).padStart(2, '0')}`)
const TASKS = 1000
const QUICK_TASKS = 40
/** As many as two processors are busy with. */
const MAX_SESSIONS = 8
const TIMEOUT_MS = 540_000

export async function benchDag(stage: Stage): Promise<readonly Result[]> {
  const count = stage.quick ? QUICK_TASKS : TASKS
  const witness = join(stage.dir, 'witness')
  await mkdir(witness)
  await vouch(stage.redis, keysOf(NAMESPACE), 'new')
  const board = await startBoard(stage, { namespace: NAMESPACE, dataDir: `${stage.dir}/board` })
  const spec = {
    description: 'The fake CLI, with a witness',
    model: 'sonnet',
    env: { SET: { DROVER_WITNESS_DIR: witness } },
  }
  const { workspace } = await startWorker(stage, {
    namespace: NAMESPACE,
    claude: FAKE_CLAUDE,
    agentTypes: Object.fromEntries(TYPES.map((name) => [name, spec])),
    env: { ANTHROPIC_API_KEY: 'none', DROVER_MAX_SESSIONS: String(MAX_SESSIONS) },
  })
  const dag = randomDag(count, TYPES, createRandom(count))
  const began = performance.now()
  const tasks = dag.map((task) => ({ ...task, prompt: fakePrompt({}), workspace_dir: workspace }))
  await ask(`${board}/api/v1/tasks`, { tasks })
  const open = `${board}/api/v1/tasks?status=pending,spawned,running&limit=1`
  await until(async () => (await ask(open)).document.tasks.length === 0, {
    timeoutMs: TIMEOUT_MS,
    message: 'all tasks to end',
  })
  const seconds = (performance.now() - began) / 1000

  const rows = await allTasks(board)
  const unfinished = rows.filter(({ status }) => status !== 'completed')
  const sessionOf = new Map(rows.map(({ task_id, session_id }) => [task_id, session_id]))
  const wrong = [
    ...unfinished.map(({ task_id, status }) => `${task_id} is ${status}`),
    ...orderViolations(dag, sessionOf, readWitness(witness)),
    ...violations(witness).map(({ agent_id }) => `${agent_id} ran beside another of its type`),
  ]
  if (rows.length !== count || wrong.length > 0) throw new Error(`Wrong: ${wrong.slice(0, 5).join('; ')}`)
  const edges = dag.reduce((sum, { depends_on }) => sum + depends_on.length, 0)
  return [
    {
      bench: 'dag',
      title: `${count} tasks of ${TYPES.length} types in the order of their dependencies`,
      unit: 'sessions/s',
      measured: summarize([count / seconds]),
      goal: null,
      details: [
        { label: 'dependencies, all kept', value: edges, unit: '' },
        { label: 'took', value: seconds, unit: 's' },
      ],
    },
  ]
}

interface TaskRow {
  readonly task_id: string
  readonly session_id: string
  readonly status: string
}

async function allTasks(board: string): Promise<readonly TaskRow[]> {
  const rows: TaskRow[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const from: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const { document } = await ask(`${board}/api/v1/tasks?limit=200${from}`)
    rows.push(...document.tasks)
    cursor = document.next_cursor
  }
  return rows
}

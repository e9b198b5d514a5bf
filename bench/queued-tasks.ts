/**
 * Pages of `/api/v1/tasks` while 10,000 tasks are queued, each with its session and job, from a real board: the first
 * page, one from the middle, by state, by type, by words, and the largest page that there is (200).
 */
import { until } from '../test/support/until.ts'
import { ask, startLoneBoard } from './http.ts'
import { summarize, type Result } from './report.ts'
import type { Stage } from './stage.ts'

const NAMESPACE = 'bench-queued-tasks'
const TASKS = 10_000
const QUICK_TASKS = 200
const REQUESTS = 100
const QUICK_REQUESTS = 5
const WARM_UP = 2
const QUEUED_TIMEOUT_MS = 300_000
const GOAL_MS = 100
const TYPES = ['architect', 'code_developer', 'code_reviewer', 'project_manager']

export async function benchQueuedTasks(stage: Stage): Promise<readonly Result[]> {
  const count = stage.quick ? QUICK_TASKS : TASKS
  const board = await startLoneBoard(stage, NAMESPACE, TYPES)
  const url = `${board}/api/v1/tasks`
  const tasks = Array.from({ length: count }, (_, index) => ({
    task_id: `TASK-${index}`,
    agent_type: TYPES[index % TYPES.length],
    prompt: `Task number ${index}: do what is to be done, and say what was done.`,
    workspace_dir: stage.dir,
  }))
  const began = performance.now()
  await ask(url, { tasks })
  const isLeft = async (): Promise<boolean> =>
    (await ask(`${url}?status=pending&limit=1`)).document.tasks.length > 0
  await until(async () => !(await isLeft()), { timeoutMs: QUEUED_TIMEOUT_MS, message: 'all to be queued' })
  const queuedMs = performance.now() - began

  const middle = await cursorAfter(url, count / 2)
  const pages: Readonly<Record<string, string>> = {
    'the first page': url,
    'a page from the middle': `${url}?cursor=${middle}`,
    'the queued ones': `${url}?status=spawned`,
    'the queued ones of a type': `${url}?status=spawned&agent_type=architect`,
    'by words of the prompt': `${url}?q=number%20${count / 2}`,
    'a page of 200': `${url}?limit=200`,
  }
  const results: Result[] = []
  for (const [name, page] of Object.entries(pages)) {
    const times: number[] = []
    for (let n = 0; n < WARM_UP + (stage.quick ? QUICK_REQUESTS : REQUESTS); n++) {
      const { document, tookMs } = await ask(page)
      if (document.tasks.length === 0) throw new Error(`${page} lists nothing`)
      if (n >= WARM_UP) times.push(tookMs)
    }
    results.push({
      bench: 'queued-tasks',
      title: `${name}, of ${count} queued tasks`,
      unit: 'ms',
      measured: summarize(times),
      goal: { op: '<=', value: GOAL_MS, p99: true },
      details: results.length > 0 ? [] : [{ label: 'queued in', value: queuedMs / 1000, unit: 's' }],
    })
  }
  return results
}

/** The cursor behind so many tasks. */
async function cursorAfter(url: string, count: number): Promise<string> {
  let cursor = ''
  const limit = Math.min(200, count)
  for (let seen = 0; seen < count;) {
    const page = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const { document } = await ask(`${url}?limit=${limit}${page}`)
    seen += document.tasks.length
    if (document.next_cursor === null) break
    cursor = document.next_cursor
  }
  return encodeURIComponent(cursor)
}

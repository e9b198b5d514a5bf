/**
 * 200 callers that wait for `spawn_agent` on one board over HTTP, with a pod at work in the same Redis: what the board
 * needs meanwhile, and whether the renewals of the pod's leases suffer. In the middle the board is killed with SIGKILL
 * and started again on its port; its callers go on with their handles. That each of them gets the result of its own
 * session, once, and that no lease was lost is checked; anything else breaks the benchmark.
 *
 * The pod runs a silent session of each of the types `held-…`, whose leases are watched with MONITOR, by the clock of
 * Redis. The sessions that are waited for are of the types `asked-…`, each behind one that ends when it is told to.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { readProcess } from '../src/guard/process-table.ts'
import { createProducer } from '../src/index.ts'
import { vouch } from '../src/queue/incarnation.ts'
import { keysOf } from '../src/queue/keys.ts'
import { callPersistently, type PersistentCaller } from '../test/mcp/persistent-caller.ts'
import { FAKE_CLAUDE, fakePrompt } from '../test/support/fake-claude.ts'
import { until } from '../test/support/until.ts'
import { startBoardProcess, type BenchBoard } from './board.ts'
import { ask } from './http.ts'
import { monitor } from './monitor.ts'
import { median, summarize, type Detail, type Result } from './report.ts'
import type { Stage } from './stage.ts'
import { startWorker } from './worker.ts'

const NAMESPACE = 'bench-waits'
const WAITS = 200
const QUICK_WAITS = 8
const typesOf = (name: string): string[] => Array.from({ length: 4 }, (_, index) => `${name}-${index + 1}`)
const HELD = typesOf('held')
const ASKED = typesOf('asked')
/** Milliseconds. A third of the default lease, renewed more often than by default: 160 renewals in the window. */
const RENEW_MS = 500
const TTL_MS = 10_000
const MARGIN_MS = 2000
const WINDOW_MS = 20_000
const QUICK_WINDOW_MS = 3000
const SECOND_MS = 1000
/** Longer than all that is measured here. */
const SILENCE_MS = 600_000
const TIMEOUT_MS = 300_000
/** A renewal that is so much later than another one costs nobody a lease: a tenth of its time. */
const LATE_MS = TTL_MS / 10

export async function benchWaits(stage: Stage): Promise<readonly Result[]> {
  const windowMs = stage.quick ? QUICK_WINDOW_MS : WINDOW_MS
  const count = stage.quick ? QUICK_WAITS : WAITS
  await vouch(stage.redis, keysOf(NAMESPACE), 'new')
  const dataDir = `${stage.dir}/board`
  let board = await startBoardProcess(stage, { namespace: NAMESPACE, dataDir })
  const spec = { description: 'The fake CLI', model: 'sonnet', orchestrator_tools: [] }
  const { workspace } = await startWorker(stage, {
    namespace: NAMESPACE,
    claude: FAKE_CLAUDE,
    agentTypes: Object.fromEntries([...HELD, ...ASKED].map((name) => [name, spec])),
    env: {
      ANTHROPIC_API_KEY: 'none',
      DROVER_LEASE_RENEW_MS: String(RENEW_MS),
      DROVER_LEASE_TTL_MS: String(TTL_MS),
      DROVER_LEASE_MARGIN_MS: String(MARGIN_MS),
    },
  })
  const producer = createProducer({ redisUrl: stage.redisUrl, namespace: NAMESPACE })
  stage.defer(() => producer.close())
  const silent = (agentType: string) =>
    producer.spawn({
      agentType,
      prompt: fakePrompt({ silence_ms: SILENCE_MS }),
      workspaceDir: workspace,
      wait: 'started',
    })
  const held = await Promise.all(HELD.map(silent))
  const first = await Promise.all(ASKED.map(silent))
  const renewals = await watchRenewals(stage)
  stage.defer(() => renewals.stop())

  const alone = await renewals.during(() => delay(windowMs))

  const callers = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      callPersistently(board, {
        agent_type: ASKED[index % ASKED.length] ?? '',
        task: fakePrompt({ text: `answer ${index}` }),
        workspace_dir: workspace,
      }),
    ),
  )
  stage.defer(() => Promise.all(callers.map((caller) => caller.close())))
  await until(() => callers.every(({ waiting }) => waiting), { timeoutMs: TIMEOUT_MS })
  let cores: readonly number[] = []
  const waiting = await renewals.during(async () => {
    cores = await coresOf(board, windowMs)
  })

  let backAfter = 0
  const returning = await renewals.during(async () => {
    const began = performance.now()
    await board.kill()
    const port = Number(new URL(board.url).port)
    board = await startBoardProcess(stage, { namespace: NAMESPACE, dataDir }, port)
    await until(() => callers.every(({ waiting }) => waiting), { timeoutMs: TIMEOUT_MS })
    backAfter = performance.now() - began
  })
  const ending = await renewals.during(async () => {
    await Promise.all(first.map(({ sessionId }) => producer.kill(sessionId, { force: true })))
    await checkAnswers(board.url, callers)
  })
  await checkHolders(
    board.url,
    held.map(({ sessionId }) => sessionId),
  )

  const suffered = [...waiting, ...returning]
  return [
    {
      bench: 'waits',
      title: `${count} calls of spawn_agent wait over HTTP: CPU of their board, each second`,
      unit: 'cores',
      measured: summarize(cores),
      goal: { op: '<=', value: 1, always: true },
      details: [
        { label: 'from SIGKILL until it was started and all waited again', value: backAfter, unit: 'ms' },
      ],
    },
    {
      bench: 'waits',
      title: `between two renewals of a lease (every ${RENEW_MS} ms), while they wait and over the board's death, beyond the median without them`,
      unit: 'ms',
      measured: summarize(suffered.map((gap) => gap - median(alone))),
      goal: { op: '<=', value: LATE_MS, always: true },
      details: [
        ...gapsOf('without waits', alone),
        ...gapsOf('with waits', waiting),
        ...gapsOf('board killed and started', returning),
        ...gapsOf(`while the pod runs their ${count} sessions`, ending),
      ],
    },
  ]
}

const gapsOf = (label: string, gaps: readonly number[]): Detail[] => [
  { label: `${label}, median`, value: median(gaps), unit: 'ms' },
  { label: 'longest', value: Math.max(...gaps), unit: 'ms' },
]

interface Renewals {
  /** Milliseconds between two renewals of the same lease, all that ended while `action` ran. */
  during(action: () => Promise<void>): Promise<readonly number[]>
  stop(): Promise<void>
}

/** A renewal is what the script of the session does with the lease's key. */
async function watchRenewals({ redisUrl }: Stage): Promise<Renewals> {
  const keys = HELD.map((name) => keysOf(NAMESPACE).lease(name, 0))
  const last = new Map<string, number>()
  let gaps: number[] = []
  const stop = await monitor(redisUrl, ({ at, source, words }) => {
    if (source !== 'script' || !/^"pexpire"/i.test(words)) return
    const key = keys.find((name) => words.includes(`"${name}"`))
    if (key === undefined) return
    const before = last.get(key)
    if (before !== undefined) gaps.push(at - before)
    last.set(key, at)
  })
  return {
    async during(action) {
      gaps = []
      await action()
      const found = gaps
      gaps = []
      return found
    },
    stop,
  }
}

/** CPU of the board's process, for each second of the window. */
async function coresOf({ pid }: BenchBoard, windowMs: number): Promise<readonly number[]> {
  const cpu = (): number => readProcess(pid)?.cpuMs ?? Number.NaN
  const cores: number[] = []
  for (let left = windowMs; left > 0; left -= SECOND_MS) {
    const [before, began] = [cpu(), performance.now()]
    await delay(SECOND_MS)
    cores.push((cpu() - before) / (performance.now() - began))
  }
  return cores
}

/** Each call has the answer of its own session, and there are no others than theirs. */
async function checkAnswers(url: string, callers: readonly PersistentCaller[]): Promise<void> {
  const answers = await Promise.all(callers.map(({ answer }) => answer))
  answers.forEach(({ session_id, success, output }, index) => {
    const { handle } = callers[index] ?? {}
    if (success !== true || session_id !== handle || output !== `answer ${index}`)
      throw new Error(`call ${index} was answered ${JSON.stringify(answers[index])}, its handle is ${handle}`)
  })
  const ids = new Set(answers.map(({ session_id }) => session_id))
  const { document } = await ask(`${url}/api/v1/cost?by=agent_type`)
  const sessions = Number(document.total.sessions)
  const expected = answers.length + HELD.length + ASKED.length
  if (ids.size !== answers.length || sessions !== expected)
    throw new Error(`${ids.size} sessions answered, ${sessions} of ${expected} are in the ledger`)
}

/** Nobody lost its lease: each still has its first agent. */
async function checkHolders(url: string, sessionIds: readonly string[]): Promise<void> {
  for (const id of sessionIds) {
    const { session, agents } = (await ask(`${url}/api/v1/sessions/${id}`)).document
    if (session.status !== 'running' || agents.length !== 1)
      throw new Error(`the session ${id} is ${session.status} with ${agents.length} agents`)
  }
}

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DroverError } from '../../src/core/errors.ts'
import { createEnsureJobs, type Dispatch, type EnsureJobs } from '../../src/recorder/ensure-jobs.ts'
import { createTempLedger, type TempLedger } from '../ledger/temp-ledger.ts'
import { until } from '../support/until.ts'
import { pendingTask, recordTexts, scriptedSession, taskEvent } from './scripted-session.ts'

const AGENT = { agentId: 'architect-20261120-001', epoch: 100 }

let temp: TempLedger
let calls: string[]
let refuse: (call: string) => Error | null
let hold: Promise<void> | null
let begun: number
let logged: string[]
const running: EnsureJobs[] = []

beforeEach(() => {
  temp = createTempLedger()
  calls = []
  logged = []
  hold = null
  begun = 0
  refuse = () => null
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()))
  temp.remove()
})

/** Writes down what it is asked for; what the asking leads to is the producer's test. */
const dispatch: Dispatch = {
  ensureJob: ({ sessionId, agentType, priority }) => note(`job ${sessionId} ${agentType} ${priority}`),
  spawnTask: (task) => note(`spawn ${task.task_id} run ${task.run}: ${task.prompt}`),
  blockTask: (task, blockedBy) => note(`block ${task.task_id} by ${blockedBy.join(', ')}`),
}

async function note(call: string): Promise<void> {
  const refusal = refuse(call)
  if (refusal !== null) throw refusal
  begun += 1
  await hold
  calls.push(call)
}

function start(wholePassMs = 60_000): EnsureJobs {
  const ensureJobs = createEnsureJobs({
    ledger: temp.ledger,
    dispatch,
    log: { warn: (_details: unknown, message?: string) => void logged.push(message ?? '') },
    wholePassMs,
  })
  running.push(ensureJobs)
  ensureJobs.start()
  return ensureJobs
}

/** Records, tells it as the recorder does, and answers what was asked for since. */
async function commit(ensureJobs: EnsureJobs, texts: readonly string[], expected: number): Promise<string[]> {
  calls = []
  const batch = recordTexts(temp.ledger, texts)
  ensureJobs.afterCommit({ acceptedSessionIds: [...batch.acceptedSessionIds], taskIds: [...batch.taskIds] })
  await until(() => calls.length >= expected, { message: () => `${expected} calls, not ${calls.join('; ')}` })
  return calls.toSorted()
}

describe('ensureJobs', () => {
  it('gives an accepted session its job', async () => {
    const ensureJobs = start()
    const texts = scriptedSession('s1', 'code_developer').accepted({ priority: 7 }).events
    expect(await commit(ensureJobs, texts, 1)).toEqual(['job s1 code_developer 7'])
  })

  it('asks again for all that is open when Redis has lost its jobs', async () => {
    const ensureJobs = start()
    await commit(ensureJobs, scriptedSession('s1').accepted().events, 1)
    await commit(ensureJobs, scriptedSession('s2').accepted().events, 1)
    calls = []
    ensureJobs.lookAtAll()
    await until(() => calls.length === 2)
    expect(calls.toSorted()).toEqual(['job s1 architect 1000', 'job s2 architect 1000'])
  })

  it('spawns a task as soon as what it depends on is completed, and no sooner', async () => {
    const ensureJobs = start()
    const tasks = [pendingTask('A'), pendingTask('B', ['A']), pendingTask('C', ['A', 'B'])]
    expect(await commit(ensureJobs, tasks, 1)).toEqual(['spawn A run 0: Do A.'])

    const session = scriptedSession('s-a').accepted({ task_id: 'A' }).spawned(AGENT).started(AGENT)
    expect(await commit(ensureJobs, session.events, 1)).toEqual(['job s-a architect 1000'])
    expect(await commit(ensureJobs, session.ended().events, 1)).toEqual(['spawn B run 0: Do B.'])
  })

  it('gives a session that waited for a task its job', async () => {
    const ensureJobs = start()
    await commit(ensureJobs, [pendingTask('A'), pendingTask('B', ['A'])], 1)
    const waiting = scriptedSession('s-b').accepted({ task_id: 'B' })
    const done = scriptedSession('s-a').accepted({ task_id: 'A' })
    expect(await commit(ensureJobs, [...waiting.events, ...done.events], 1)).toEqual([
      'job s-a architect 1000',
    ])
    expect(await commit(ensureJobs, done.ended().events, 1)).toEqual(['job s-b architect 1000'])
  })

  it('says of a task that can never start what stands in its way, down the whole chain', async () => {
    const ensureJobs = start()
    const tasks = [
      pendingTask('A'),
      pendingTask('A2'),
      pendingTask('B', ['A', 'A2']),
      pendingTask('C', ['B']),
    ]
    await commit(ensureJobs, tasks, 2)
    const failed = scriptedSession('s-a').accepted({ task_id: 'A' }).ended({ status: 'failed' })
    expect(await commit(ensureJobs, failed.events, 1)).toEqual(['block B by A'])
    const blocked = taskEvent('drover.task.blocked', { task_id: 'B', blocked_by: ['A'] })
    expect(await commit(ensureJobs, [blocked], 1)).toEqual(['block C by B'])
  })

  it('finds at its start what a process that died had left', async () => {
    recordTexts(temp.ledger, [
      pendingTask('A'),
      pendingTask('B', ['A']),
      pendingTask('D', ['GONE']),
      pendingTask('E', ['D']),
      taskEvent('drover.task.ended', { task_id: 'D', status: 'cancelled', error_message: null }),
      ...scriptedSession('s1').accepted().spawned(AGENT).started(AGENT).events,
      ...scriptedSession('s2').accepted().ended().events,
    ])
    start()
    await until(() => calls.length >= 3)
    expect(calls.toSorted()).toEqual(['block E by D', 'job s1 architect 1000', 'spawn A run 0: Do A.'])
  })

  it('looks at all that is open again and again', async () => {
    start(50)
    recordTexts(temp.ledger, [pendingTask('A')])
    await until(() => calls.length >= 3)
    expect(new Set(calls)).toEqual(new Set(['spawn A run 0: Do A.']))
  })

  it('tries again after Redis was away', async () => {
    let away = true
    refuse = () => (away ? new Error('Connection is closed.') : null)
    const ensureJobs = start()
    recordTexts(temp.ledger, [pendingTask('A'), ...scriptedSession('s1').accepted().events])
    ensureJobs.afterCommit({ acceptedSessionIds: ['s1'], taskIds: ['A'] })
    await until(() => logged.length > 0)
    away = false
    await until(() => calls.length >= 2)
    expect(calls.toSorted()).toEqual(['job s1 architect 1000', 'spawn A run 0: Do A.'])
    expect(logged).toEqual(['A session or task could not be dispatched: Connection is closed.'])
  })

  it('lets a refusal stand in the way of nothing else', async () => {
    refuse = (call) =>
      call.startsWith('spawn A') ? new DroverError('agent_type_not_found', 'No such type.') : null
    const ensureJobs = start()
    const tasks = [pendingTask('A'), pendingTask('B'), ...scriptedSession('s1').accepted().events]
    expect(await commit(ensureJobs, tasks, 2)).toEqual(['job s1 architect 1000', 'spawn B run 0: Do B.'])
    expect(logged).toEqual(['A session or task could not be dispatched: No such type.'])
  })

  it('stops after the calls that are under way', async () => {
    const many = Array.from(
      { length: 500 },
      (_, index) => scriptedSession(`s${index}`).accepted().events,
    ).flat()
    recordTexts(temp.ledger, many)
    const gate = Promise.withResolvers<void>()
    hold = gate.promise
    const ensureJobs = start()
    await until(() => begun > 0)
    const stopping = ensureJobs.stop()
    const underWay = begun
    gate.resolve()
    await stopping
    expect(calls).toHaveLength(underWay)
    expect(underWay).toBeLessThan(500)
    await ensureJobs.stop()
  })
})

/** F02 and F03: the CLI and the guard die by SIGKILL, while their worker lives. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isTreeAlive } from '../support/fake-claude.ts'
import { until } from '../support/until.ts'
import { openField, type Field } from './rig/field.ts'
import { checkInvariants } from './rig/invariants.ts'

let field: Field
beforeAll(async () => {
  field = await openField({ pods: 1, types: { architect: {}, code_reviewer: {} } })
})
afterAll(() => field.close())

/** Timestamps are rounded to milliseconds, on both sides. */
const ROUNDING_MS = 2

test('F02 a killed CLI is noticed, restarted after each back-off, and failed the fourth time', async () => {
  const { backoffMs } = field.times
  const id = await field.spawn({ silence_ms: 60_000, stderr_text: 'its last words' })
  let last: string | undefined
  for (let kill = 1; kill <= 4; kill++) {
    const agent = await field.agentOf(id, last)
    await field.recorded(id, 'drover.agent.started', kill)
    const killedAt = field.now()
    process.kill(agent.pid, 'SIGKILL')
    await field.recorded(id, 'drover.agent.exited', kill)
    expect(field.now() - killedAt).toBeLessThan(1000 + field.stoodStill(killedAt))
    last = agent.agentId
  }
  expect(await field.ended(id)).toMatchObject({ status: 'failed', failure_reason: 'crashed', restarts: 3 })

  const agents = field.ledger.agents(id)
  expect(agents.map((agent) => agent.retry_count)).toEqual([0, 1, 2, 3])
  expect(agents.map((agent) => agent.exit_signal)).toEqual(Array(4).fill('SIGKILL'))
  expect(agents.slice(1).every((agent) => agent.command.includes('--resume'))).toBe(true)
  expect(field.ledger.payloads(id, 'drover.agent.exited').at(-1)?.['stderr_tail']).toContain('its last words')

  const events = field.ledger.events(id)
  const spawns = events.filter((event) => event.type === 'drover.agent.spawned').slice(1)
  const restarts = events.filter((event) => event.type === 'drover.session.restarting')
  expect(restarts.length).toBe(3)
  for (const [index, restart] of restarts.entries()) {
    const full = backoffMs * 2 ** index
    const backoff = Number(field.ledger.payloads(id, restart.type)[index]?.['backoff_ms'])
    expect(backoff).toBeGreaterThanOrEqual(full * 0.9)
    expect(backoff).toBeLessThanOrEqual(full * 1.1)
    const waited = Date.parse(spawns[index]?.ts ?? '') - Date.parse(restart.ts)
    expect(waited).toBeGreaterThanOrEqual(backoff - ROUNDING_MS)
  }
  await checkInvariants(field)
})

test('F03 with a killed guard all its agents are gone; the worker goes on with another guard', async () => {
  const [pod] = field.pods
  if (pod === undefined) throw new Error('The field has no pod.')
  const guard = pod.guardPid()
  const ids = await Promise.all(
    ['architect', 'code_reviewer'].map((agentType) =>
      field.spawn({ lines: 5000, delay_ms: 40, until_file: 'guard is gone' }, { agentType }),
    ),
  )
  const agents = await Promise.all(ids.map((id) => field.agentOf(id)))
  await Promise.all(ids.map((id) => field.recorded(id, 'drover.agent.started')))

  const killedAt = field.now()
  pod.signalGuard('SIGKILL')
  await until(() => agents.every((agent) => !isTreeAlive(field.witnessDir, agent.agentId)))
  expect(field.now() - killedAt).toBeLessThan(1000 + field.stoodStill(killedAt))
  field.tell('guard is gone')

  for (const [index, id] of ids.entries()) {
    // Not its fault: no try is used.
    expect(await field.ended(id)).toMatchObject({ status: 'completed', restarts: 0 })
    expect(field.ledger.payloads(id, 'drover.agent.killed')).toMatchObject([{ reason: 'guard_lost' }])
    const [first, second, ...more] = field.ledger.agents(id)
    expect(first?.agent_id).toBe(agents[index]?.agentId)
    expect(second).toMatchObject({ status: 'completed', retry_count: 0 })
    expect(second?.command).toContain('--resume')
    expect(more).toEqual([])
  }
  expect(pod.isAlive()).toBe(true)
  expect(pod.guardPid()).not.toBe(guard)
  await checkInvariants(field)
})

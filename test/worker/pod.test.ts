import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { newSessionId } from '../../src/core/ids.ts'
import { NO_FACTS, observe } from '../../src/core/stream-facts.ts'
import { createQueues } from '../../src/queue/jobs.ts'
import { createSessionStore, type AgentRef, type SessionStore } from '../../src/queue/session-store.ts'
import { workspaceId } from '../../src/session/workspace.ts'
import { readWitness, violations } from '../support/fake-claude.ts'
import { acceptance } from '../support/namespace.ts'
import { FIVE_TYPES, openHouse, type PodHouse } from '../support/pod.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const server = await redisOfFile()
let house: PodHouse
beforeEach(async () => {
  house = await openHouse({ redisUrl: server.url })
})
afterEach(() => house.close())

const typesOf = (events: readonly { type: string }[]): string[] => events.map((event) => event.type)
const starts = (): ReturnType<typeof readWitness> =>
  readWitness(house.witness).filter((record) => record.kind === 'start')

/** A session whose worker died: it is `starting` with an agent of its own, and its lease is about to run out. */
async function sessionOfDeadWorker(): Promise<{ store: SessionStore; agent: AgentRef }> {
  const store = createSessionStore(house.redis, house.keys)
  const session = { sessionId: newSessionId(), agentType: 'architect' }
  await store.accept({
    ...acceptance(session.sessionId),
    request: { agent_type: 'architect', prompt: 'Go on', workspace_dir: house.workspace },
  })
  const leaseKey = house.keys.lease('architect', 0)
  await house.redis.set(leaseKey, 'dead', 'PX', 300)
  const dead = await store.start(session, {
    leaseKey,
    token: 'dead',
    agentIdPrefix: 'architect-20260101-',
    set: {},
    events: [{ type: 'drover.agent.spawned', payload: {} }],
  })
  if (!dead.ok) throw new Error(dead.refused)
  await createQueues(house.redis, house.keys, () => {}).add({ ...session, priority: 1 })
  return { store, agent: { ...session, agentId: dead.agentId, epoch: dead.epoch } }
}

test('a session is claimed, started, streamed and ended, in this order', async () => {
  await house.startPod()
  const sessionId = await house.spawn({ text: 'Designed.', cost_usd: 0.25, usage: { input_tokens: 7 } })
  const events = await house.events(sessionId)
  const result = await house.producer.result(sessionId)

  expect(typesOf(events).filter((type) => type.startsWith('drover.'))).toEqual([
    'drover.session.accepted',
    'drover.session.claimed',
    'drover.agent.spawned',
    'drover.agent.started',
    'drover.agent.exited',
    'drover.agent.closed',
    'drover.session.ended',
  ])
  expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1))
  const lines = events.filter((event) => event.line !== null)
  expect(lines.map((event) => event.line)).toEqual(lines.map((_, index) => index + 1))
  expect(events.find((event) => event.type === 'drover.agent.closed')?.payload).toMatchObject({
    lines: lines.length,
    tail_unknown: false,
  })
  expect(result).toMatchObject({
    success: true,
    status: 'completed',
    output: 'Designed.',
    cost: 0.25,
    usage: { inputTokens: 7 },
    restarts: 0,
  })
})

test('five sessions of one type run one after the other, on two pods', async () => {
  await house.startPod()
  await house.startPod()
  const ids = await Promise.all(Array.from({ length: 5 }, () => house.spawn({ delay_ms: 50 })))
  await Promise.all(ids.map((id) => house.events(id)))

  expect(violations(house.witness)).toEqual([])
  const order = starts().map((record) => record.session_id)
  expect(order).toHaveLength(5)
  const spans = ids.map((id) => readWitness(house.witness).filter((record) => record.session_id === id))
  for (const span of spans) {
    const from = order.indexOf(span[0]?.session_id ?? '')
    const next = starts()[from + 1]
    const last = span.at(-1)
    if (next !== undefined && last !== undefined) {
      expect(BigInt(last.mono_ns) <= BigInt(next.mono_ns)).toBe(true)
    }
  }
})

test('five of five types run side by side', async () => {
  await house.startPod()
  const ids = await Promise.all(
    FIVE_TYPES.map((agentType) => house.spawn({ lines: 1, silence_ms: 60_000 }, { agentType })),
  )
  await until(() => starts().length === 5, { timeoutMs: 30_000, message: 'five agents at once' })
  expect(new Set(starts().map((record) => record.session_id))).toEqual(new Set(ids))
  expect(violations(house.witness)).toEqual([])
})

test('a crash is followed by a resume after the back-off; the cost of both counts', async () => {
  await house.startPod()
  const sessionId = await house.spawn({ crash_on_attempts: [1], cost_usd: 0.5 })
  const events = await house.events(sessionId)

  const spawned = events.filter((event) => event.type === 'drover.agent.spawned')
  expect(spawned.map((event) => event.payload)).toMatchObject([
    { resumed: false, retry_count: 0 },
    { resumed: true, retry_count: 1 },
  ])
  expect(new Set(spawned.map((event) => event.agent_id)).size).toBe(2)
  expect(events.find((event) => event.type === 'drover.session.restarting')?.payload).toMatchObject({
    reason: 'crashed',
    restarts: 1,
  })
  expect(await house.producer.result(sessionId)).toMatchObject({ success: true, restarts: 1, cost: 0.5 })
})

test('three restarts, 50, 100 and 200 ms apart here, then it fails with the reason', async () => {
  await house.startPod()
  const sessionId = await house.spawn({ crash_on_attempts: [1, 2, 3, 4, 5] })
  const events = await house.events(sessionId)

  const waits = events
    .filter((event) => event.type === 'drover.session.restarting')
    .map((event) => (event.payload as { backoff_ms: number }).backoff_ms)
  expect(waits).toHaveLength(3)
  for (const [index, base] of [50, 100, 200].entries()) {
    expect(waits[index]).toBeGreaterThanOrEqual(base)
    expect(waits[index]).toBeLessThanOrEqual(base * 1.1)
  }
  expect(starts()).toHaveLength(4)
  expect(await house.producer.result(sessionId)).toMatchObject({
    success: false,
    failureReason: 'crashed',
    restarts: 3,
  })
})

test('without auto restart the first crash is the end', async () => {
  await house.startPod()
  const sessionId = await house.spawn({ crash_on_attempts: [1] }, { autoRestart: false })
  await house.events(sessionId)
  expect(await house.producer.result(sessionId)).toMatchObject({ failureReason: 'crashed', restarts: 0 })
})

test('what the API rejected is not tried again', async () => {
  await house.startPod()
  const sessionId = await house.spawn({ result: 'error', api_error_status: 400 })
  await house.events(sessionId)
  expect(await house.producer.result(sessionId)).toMatchObject({ failureReason: 'api_error', restarts: 0 })
})

test('a CLI that does not confirm its start is ended and tried again', async () => {
  await house.startPod({ DROVER_STARTUP_TIMEOUT_MS: '400', DROVER_MAX_RESTARTS: '1' })
  const sessionId = await house.spawn({ delay_init_ms: 60_000 })
  await house.events(sessionId)
  expect(await house.producer.result(sessionId)).toMatchObject({
    failureReason: 'startup_timeout',
    restarts: 1,
  })
})

test('a frozen CLI is stalled after the stall timeout, ended and restarted; a silent one is not', async () => {
  await house.startPod({ DROVER_STALL_TIMEOUT_MS: '500', DROVER_MAX_RESTARTS: '1' })
  const silent = await house.spawn({ silence_ms: 2500 })
  const frozen = await house.spawn({ stop_self: true, silence_ms: 60_000 }, { agentType: 'code_developer' })
  const events = await house.events(frozen)
  expect(events.filter((event) => event.type === 'drover.agent.stalled')).toHaveLength(2)
  expect(await house.producer.result(frozen)).toMatchObject({ failureReason: 'stalled', restarts: 1 })
  expect((await house.events(silent)).map((event) => event.type)).not.toContain('drover.agent.stalled')
  expect(await house.producer.result(silent)).toMatchObject({ success: true, restarts: 0 })
})

test('neither CPU nor output for the idle timeout is a stall too', async () => {
  await house.startPod({ DROVER_IDLE_TIMEOUT_MS: '700', DROVER_MAX_RESTARTS: '0' })
  const idle = await house.spawn({ silence_ms: 60_000 })
  await house.events(idle)
  expect(await house.producer.result(idle)).toMatchObject({ failureReason: 'stalled' })
})

test('the timeout bounds the session as a whole', async () => {
  await house.startPod()
  const sessionId = await house.spawn({ silence_ms: 60_000, ignore_term: true }, { timeoutSeconds: 2 })
  const events = await house.events(sessionId)
  expect(await house.producer.result(sessionId)).toMatchObject({ failureReason: 'timeout', restarts: 0 })
  expect(events.find((event) => event.type === 'drover.agent.killed')?.payload).toMatchObject({
    reason: 'timeout',
    signal: 'SIGKILL',
  })
})

test('a result stands, also when the CLI must be killed after it', async () => {
  await house.startPod({ DROVER_END_GRACE_MS: '300' })
  const sessionId = await house.spawn({ hang_after_result: true, ignore_term: true, text: 'Done.' })
  await house.events(sessionId)
  expect(await house.producer.result(sessionId)).toMatchObject({ success: true, output: 'Done.' })
})

test('a workspace outside the roots, or no directory, starts nothing', async () => {
  await house.startPod()
  const outside = await house.spawn({}, { workspaceDir: house.dataDir })
  const missing = await house.spawn({}, { workspaceDir: `${house.workspace}/nope` })
  await Promise.all([house.events(outside), house.events(missing)])
  expect(await house.producer.result(outside)).toMatchObject({ failureReason: 'invalid_config' })
  expect(await house.producer.result(missing)).toMatchObject({
    failureReason: 'invalid_config',
    message: expect.stringContaining('does not exist') as string,
  })
  expect(starts()).toEqual([])
})

test('a job of a session that has ended starts nothing and is finished', async () => {
  const store = createSessionStore(house.redis, house.keys)
  const queues = createQueues(house.redis, house.keys, () => {})
  const sessionId = newSessionId()
  await house.startPod()
  await store.accept(acceptance(sessionId))
  await store.change({ sessionId, agentType: 'architect' }, { to: 'completed', events: [], last: true })
  await queues.add({ sessionId, agentType: 'architect', priority: 1 })
  await until(async () => (await queues.of('architect').getJob(sessionId))?.isCompleted())
  expect(starts()).toEqual([])
})

test('a job without a record never starts, and waits for its record', async () => {
  const queues = createQueues(house.redis, house.keys, () => {})
  const sessionId = newSessionId()
  await house.startPod()
  await queues.add({ sessionId, agentType: 'architect', priority: 1 })
  await until(async () => (await queues.of('architect').getJob(sessionId))?.isDelayed())
  expect(starts()).toEqual([])
})

test('a session whose worker is gone: its agent is closed as unknown, and the next one resumes', async () => {
  const { sessionId } = (await sessionOfDeadWorker()).agent
  await house.startPod()

  const events = await house.events(sessionId)
  const health = events.filter((event) => event.type === 'drover.agent.health')
  expect(health.map((event) => (event.payload as { health_status: string }).health_status)).toEqual(['dead'])
  expect(events.find((event) => event.type === 'drover.agent.exited')?.payload).toMatchObject({
    status: 'superseded',
    failure_reason: 'worker_lost',
  })
  expect(events.find((event) => event.type === 'drover.agent.closed')?.payload).toMatchObject({
    tail_unknown: true,
  })
  // The dead agent never wrote a transcript: the resume is refused, and a fresh start costs no further try.
  expect(await house.producer.result(sessionId)).toMatchObject({ success: true, restarts: 1 })
})

test('a drained pod hands its session over, and the next one resumes it without a try', async () => {
  const first = await house.startPod()
  const sessionId = await house.spawn({ lines: 2, silence_ms: 60_000 })
  const seen = house.events(sessionId)
  await until(() => starts().length === 1)
  await until(async () => (await house.redis.hget(house.keys.session(sessionId), 'state')) === 'running')
  await first.stop(0)
  expect(await house.redis.hget(house.keys.session(sessionId), 'state')).toBe('queued')

  await house.startPod()
  await until(() => starts().length === 2, { timeoutMs: 20_000 })
  expect(starts()[1]?.argv).toContain(`--resume=${sessionId}`)
  expect(await house.redis.hget(house.keys.session(sessionId), 'restarts')).toBeNull()
  expect(violations(house.witness)).toEqual([])
  await house.redis.hset(house.keys.session(sessionId), 'state', 'completed')
  void seen.catch(() => {})
})

test('what only the hash has of an agent’s rights comes back with its next beat', async () => {
  await house.startPod()
  const key = house.keys.session(await house.spawn({ silence_ms: 60_000 }))
  const rights = (): Promise<(string | null)[]> =>
    house.redis.hmget(key, 'token_hash', 'tools', 'lease_key', 'lease_token')
  await until(async () => (await house.redis.hexists(key, 'beat_at')) === 1)
  const before = await rights()
  await house.redis.hdel(key, 'token_hash', 'tools', 'lease_key', 'lease_token', 'beat_at')
  await until(async () => (await house.redis.hexists(key, 'beat_at')) === 1)
  expect(before[0]).toHaveLength(64)
  expect(await rights()).toEqual(before)
})

test('a pod with one place runs one session at a time', async () => {
  await house.startPod({ DROVER_MAX_SESSIONS: '1' })
  const ids = await Promise.all(FIVE_TYPES.map((agentType) => house.spawn({ delay_ms: 50 }, { agentType })))
  await Promise.all(ids.map((id) => house.events(id)))
  const records = readWitness(house.witness)
  let alive = 0
  let most = 0
  for (const record of records) {
    if (record.kind === 'start') most = Math.max(most, ++alive)
    if (record.kind === 'end') alive--
  }
  expect(most).toBe(1)
})

test('files that a spec expects and that are missing make a success a failure', async () => {
  await house.close()
  house = await openHouse({ redisUrl: server.url, spec: { expect_files: ['docs/SPEC.md'] } })
  await house.startPod()
  const missing = await house.spawn({})
  await house.events(missing)
  expect(await house.producer.result(missing)).toMatchObject({ failureReason: 'missing_files', restarts: 0 })
  await mkdir(`${house.workspace}/docs`)
  const there = await house.spawn({ write_files: { 'docs/SPEC.md': '# Spec' } })
  await house.events(there)
  expect(await house.producer.result(there)).toMatchObject({ success: true })
})

describe('so do they where the worker died when it had the success', () => {
  beforeEach(async () => {
    await house.close()
    house = await openHouse({ redisUrl: server.url, spec: { expect_files: ['docs/SPEC.md'] } })
  })

  async function finishedByDeadWorker(): Promise<string> {
    const { agent } = await sessionOfDeadWorker()
    const line = { type: 'result', subtype: 'success', is_error: false, result: 'Done.' }
    await house.redis.hset(house.keys.session(agent.sessionId), {
      state: 'running',
      workspace_id: await workspaceId(house.workspace),
      facts: JSON.stringify(observe(NO_FACTS, line)),
    })
    return agent.sessionId
  }

  test('on a pod with the workspace', async () => {
    const sessionId = await finishedByDeadWorker()
    await house.startPod()
    expect(await house.producer.result(sessionId)).toMatchObject({ failureReason: 'missing_files' })
  })

  test('elsewhere: a pod with the workspace looks, and nothing runs again', async () => {
    const missing = await finishedByDeadWorker()
    await house.startPod({ DROVER_WORKSPACE_ROOTS: house.witness })
    await until(
      async () => (await house.redis.hget(house.keys.session(missing), 'state')) === 'waiting_workspace',
    )
    await house.startPod()
    expect(await house.producer.result(missing)).toMatchObject({ failureReason: 'missing_files' })
    await mkdir(`${house.workspace}/docs`)
    await writeFile(`${house.workspace}/docs/SPEC.md`, '# Spec')
    const there = await finishedByDeadWorker()
    expect(await house.producer.result(there)).toMatchObject({ success: true, output: 'Done.' })
    expect(starts()).toEqual([])
  })
})

test('a full disk ends no session: it is looked at again', async (context) => {
  const sessions = join(house.dataDir, 'sessions')
  await mkdir(sessions)
  const run = (...[file = '', ...args]: string[]): boolean => spawnSync(file, args).status === 0
  const isMounted = run('mount', '-t', 'tmpfs', '-o', 'size=4k,nr_inodes=1', 'tmpfs', sessions)
  context.skip(!isMounted, 'a file system cannot be mounted here')
  try {
    await house.startPod()
    const sessionId = await house.spawn({})
    const job = async () =>
      await createQueues(house.redis, house.keys, () => {})
        .of('architect')
        .getJob(sessionId)
    await until(async () => (await (await job())?.getState()) === 'delayed')
    expect(await house.redis.hget(house.keys.session(sessionId), 'state')).toBe('queued')
    expect(starts()).toEqual([])
  } finally {
    run('umount', sessions)
  }
})

test('the key of another request brings no job into the wrong queue', async () => {
  await house.startPod({ DROVER_MAX_SESSIONS: '1' })
  await house.spawn({ silence_ms: 60_000 }, { agentType: 'project_manager' })
  await until(() => starts().length === 1)
  const first = await house.spawn({}, { idempotencyKey: 'k' })
  const other = house.spawn({}, { idempotencyKey: 'k', agentType: 'code_reviewer' })
  await expect(other).rejects.toMatchObject({ code: 'idempotency_conflict' })
  const queues = createQueues(house.redis, house.keys, () => {})
  expect(await queues.of('code_reviewer').getJob(first)).toBeUndefined()
  expect((await queues.of('architect').getJob(first))?.id).toBe(first)
})

test('a spec whose MCP config is broken ends the session with a sentence', async () => {
  const broken = `${house.workspace}/mcp.json`
  await house.close()
  house = await openHouse({ redisUrl: server.url, spec: { mcp_config: broken } })
  await house.startPod()
  const missing = await house.spawn({})
  await house.events(missing)
  expect(await house.producer.result(missing)).toMatchObject({ failureReason: 'invalid_config' })
  expect(starts()).toEqual([])
})

test('a worker that died after its agent had finished: the spool says so, and nothing runs again', async () => {
  const { store, agent } = await sessionOfDeadWorker()
  const { sessionId } = agent
  const lines = [
    { type: 'system', subtype: 'init', model: 'opus' },
    {
      type: 'result',
      subtype: 'success',
      is_error: false,
      result: 'All done.',
      num_turns: 1,
      result_index: 0,
    },
  ].map((line) => JSON.stringify(line))
  await store.lines(agent, { first: 1, lines: [{ type: 'claude.system.init', payloadText: lines[0] ?? '' }] })
  const dir = join(house.dataDir, 'sessions', sessionId, 'agents', agent.agentId)
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'stdout.ndjson'), `${lines.join('\n')}\n`)
  await house.startPod()

  const events = await house.events(sessionId)
  expect(events.filter((event) => event.line !== null).map((event) => event.line)).toEqual([1, 2])
  expect(await house.producer.result(sessionId)).toMatchObject({
    success: true,
    output: 'All done.',
    restarts: 0,
  })
  expect(starts()).toEqual([])
})

test('events of an ended session end, also from its last one on', async () => {
  await house.startPod()
  const sessionId = await house.spawn({})
  const all = await house.events(sessionId)
  const rest: unknown[] = []
  for await (const event of house.producer.events(sessionId, { after: all.length })) rest.push(event)
  expect(rest).toEqual([])
})

test('a disk that fills while the agent runs costs no try, and nothing is claimed until there is room', async ({
  skip,
}) => {
  const mount = ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', house.dataDir]
  skip(spawnSync('mount', mount).status !== 0, 'a file system cannot be mounted here')
  try {
    const pod = await house.startPod({ DROVER_MIN_FREE_DISK_MB: '1' })
    // More than fits into the last page of its spool.
    const sessionId = await house.spawn({ lines: 100_000, delay_ms: 10 })
    const stateIs = (state: string): Promise<unknown> =>
      until(async () => (await house.redis.hget(house.keys.session(sessionId), 'state')) === state)
    await stateIs('running')
    const filler = join(house.dataDir, 'filler')
    spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=64k'])
    await stateIs('queued')
    await until(async () => (await house.redis.hget(house.keys.pod('pod-1'), 'state')) === 'no_room')
    expect(await house.redis.hget(house.keys.pod('pod-1'), 'why')).toMatch(/MB of disk free, 1 are needed/)
    rmSync(filler)
    const queues = createQueues(house.redis, house.keys, () => {})
    await until(async () => (await queues.of('architect').getJob(sessionId))?.isDelayed())
    await (await queues.of('architect').getJob(sessionId))?.promote()
    await stateIs('running')
    await house.producer.kill(sessionId, { force: true })
    const events = await house.events(sessionId)
    expect(events.find(({ type }) => type === 'drover.agent.exited')?.payload).toMatchObject({
      message: expect.stringContaining('Its disk is full: 0 MB of disk free, 1 are needed') as string,
    })
    expect(events.filter(({ type }) => type === 'drover.agent.spawned')[1]?.payload).toMatchObject({
      prompt: expect.stringContaining('the disk of its machine was full') as string,
      retry_count: 0,
    })
    await pod.stop(0)
  } finally {
    spawnSync('umount', ['-l', house.dataDir])
  }
})

test('an agent whose workspace is on a full disk is not started, and not paid for, until there is room', async ({
  skip,
}) => {
  const mount = ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', house.workspace]
  skip(spawnSync('mount', mount).status !== 0, 'a file system cannot be mounted here')
  try {
    const filler = join(house.workspace, 'filler')
    spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=64k'])
    const pod = await house.startPod()
    const sessionId = await house.spawn({})
    const queue = createQueues(house.redis, house.keys, () => {}).of('architect')
    await until(async () => (await queue.getJob(sessionId))?.isDelayed())
    expect(starts()).toEqual([])
    rmSync(filler)
    await (await queue.getJob(sessionId))?.promote()
    expect(await house.producer.result(sessionId)).toMatchObject({ success: true, restarts: 0 })
    await pod.stop(0)
  } finally {
    spawnSync('umount', ['-l', house.workspace])
  }
})

test('a pod whose Redis is gone stops all the same, and its agents with it', async () => {
  const lost = await startRedis()
  const other = await openHouse({ redisUrl: lost.url })
  other.redis.on('error', () => {})
  await other.startPod()
  await other.spawn({ silence_ms: 60_000 })
  await until(() => readWitness(other.witness).length > 0)
  await lost.stop()
  // Closing it fails where a process is left.
  await expect(other.close()).resolves.toBeUndefined()
})

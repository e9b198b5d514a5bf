import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createTempLedger, type TempLedger } from '../ledger/temp-ledger.ts'
import { at, pendingTask, recordTexts, scriptedSession, taskEvent } from './scripted-session.ts'

const ONE = { agentId: 'architect-20261120-001', epoch: 100 }
const TWO = { agentId: 'architect-20261120-002', epoch: 200 }

let temp: TempLedger
beforeEach(() => {
  temp = createTempLedger()
})
afterEach(() => temp.remove())

const record = (texts: readonly string[]) => recordTexts(temp.ledger, texts)
const statusOf = (sessionId: string) => temp.ledger.sessions.get(sessionId)?.status
const taskStatus = (taskId: string) => temp.ledger.tasks.get(taskId)?.status

describe('a session from acceptance to its end', () => {
  it('waits for its workspace where the pod that took it has it not', () => {
    const waiting = { workspace_id: null, last_pod_id: null, message: 'It does not exist.' }
    const session = scriptedSession('s1')
      .accepted()
      .own('drover.session.claimed', { pod_id: 'pod-1', waiting_workspace: waiting })
    record(session.events)
    expect(statusOf('s1')).toBe('waiting_workspace')
    record(session.own('drover.session.claimed', { pod_id: 'pod-2' }).spawned(ONE).events)
    expect(statusOf('s1')).toBe('starting')
  })

  it('becomes its rows and its answer', () => {
    const session = scriptedSession('s1')
      .accepted(
        { orchestrator_id: 'night', timeout_seconds: 600, priority: 5, auto_restart: false },
        { idempotency_key: 'k1', created_by: 's0' },
      )
      .own('drover.session.claimed', { pod_id: 'pod-1' })
      .spawned(ONE)
      .line(ONE, 'claude.system.init', { type: 'system' })
      .started(ONE)
      .own('drover.agent.health', { health_status: 'healthy', cpu_percent: 3.5, memory_mb: 120 }, ONE)
      .result(ONE, { input: 10, output: 5, cacheRead: 3, cacheCreation: 2, usd: 0.000001, text: 'First.' })
      .result(ONE, { input: 1, output: 1, usd: 0.5, text: 'The spec is there.' })
      .exited(ONE)
      .closed(ONE)
      .ended({
        output: 'The spec is there.',
        cost_micros: 500_001,
        usage: { input_tokens: 11, output_tokens: 6, cache_read_tokens: 3, cache_creation_tokens: 2 },
        num_turns: 2,
        duration_ms: 6000,
        permission_denials: [{ tool_name: 'Bash' }],
      })
    record(session.events)

    expect(temp.ledger.sessions.get('s1')).toEqual({
      session_id: 's1',
      agent_type: 'architect',
      task_id: null,
      task_description: 'Write the spec.',
      workspace_dir: '/srv/shop',
      created_by: 's0',
      restart_of: null,
      orchestrator_id: 'night',
      status: 'completed',
      created_at: at(1),
      started_at: at(5),
      completed_at: at(11),
      success: true,
      result: 'The spec is there.',
      error_message: null,
      failure_reason: null,
      restarts: 0,
      estimated_cost_usd: 0.500001,
      cost_estimated: false,
      input_tokens: 11,
      output_tokens: 6,
      cache_read_tokens: 3,
      cache_creation_tokens: 2,
      num_turns: 2,
      duration_ms: 6000,
      incomplete: false,
      pruned_at: null,
      priority: 5,
      timeout_seconds: 600,
      agent_id: ONE.agentId,
      pid: 4711,
      pod_id: 'pod-1',
      waiting_for: [],
      template: null,
      vars: null,
    })
    expect(temp.ledger.sessions.completedAnswer('s1')).toEqual({
      success: true,
      agent_id: ONE.agentId,
      session_id: 's1',
      agent_type: 'architect',
      task_id: null,
      status: 'completed',
      pid: 4711,
      created_at: at(1),
      started_at: at(5),
      expected_completion: at(605),
      timeout_seconds: 600,
      completed_at: at(11),
      output: 'The spec is there.',
      cost: 0.500001,
      cost_estimated: false,
      usage: { input_tokens: 11, output_tokens: 6, cache_read_tokens: 3, cache_creation_tokens: 2 },
      num_turns: 2,
      duration_ms: 6000,
      restarts: 0,
      permission_denials: [{ tool_name: 'Bash' }],
    })
    expect(temp.ledger.agents.get(ONE.agentId)).toMatchObject({
      status: 'completed',
      session_id: 's1',
      pid: 4711,
      pod_id: 'pod-1',
      epoch: 100,
      command: '["claude","-p"]',
      spawned_at: at(3),
      started_at: at(5),
      completed_at: at(9),
      last_heartbeat: at(6),
      exit_code: 0,
      tail_unknown: false,
    })
    expect(
      temp.rows(
        'SELECT event_type, health_status, cpu_percent, memory_mb FROM agent_lifecycle_events ORDER BY seq',
      ),
    ).toEqual([
      { event_type: 'spawned', health_status: null, cpu_percent: null, memory_mb: null },
      { event_type: 'started', health_status: 'healthy', cpu_percent: null, memory_mb: null },
      { event_type: 'health', health_status: 'healthy', cpu_percent: 3.5, memory_mb: 120 },
      { event_type: 'exited', health_status: 'completed', cpu_percent: null, memory_mb: null },
      { event_type: 'closed', health_status: null, cpu_percent: null, memory_mb: null },
    ])
    expect(temp.rows('SELECT * FROM claude_invocations')).toMatchObject([
      {
        invocation_id: ONE.agentId,
        prompt: 'Write the spec.',
        model: 'claude-opus-5-5',
        status: 'completed',
        stop_reason: 'end_turn',
        content: 'The spec is there.',
        final_result: 'The spec is there.',
        results: 2,
        num_turns: 2,
        cost_usd: 0.500001,
        duration_ms: 6000,
        working_dir: '/srv/shop',
      },
    ])
  })

  it('passes through the states of its events', () => {
    const session = scriptedSession('s1').accepted()
    const states: (string | undefined)[] = []
    const step = (): void => {
      record(session.events)
      states.push(statusOf('s1'))
    }
    step()
    for (const add of [
      () => session.spawned(ONE),
      () => session.started(ONE),
      () => session.own('drover.session.waiting_input', {}, ONE),
      () => session.own('drover.session.resumed', {}, ONE),
      () => session.exited(ONE, { status: 'failed' }),
      () =>
        session.own('drover.session.restarting', {
          reason: 'crashed',
          message: 'It crashed.',
          restarts: 1,
          backoff_ms: 2000,
          not_before: at(60),
        }),
      () => session.spawned(TWO, { retry_count: 1, resumed: true }),
      () => session.own('drover.session.paused_limit', { until: at(99), message: 'limit' }),
      () =>
        session.own('drover.session.cancel_requested', { reason: 'no', actor: { via: 'cli', name: null } }),
      () =>
        session.ended({
          status: 'cancelled',
          failure_reason: 'cancelled',
          message: 'Cancelled.',
          restarts: 1,
        }),
    ]) {
      add()
      step()
    }
    expect(states).toEqual([
      'queued',
      'starting',
      'running',
      'waiting_input',
      'running',
      'queued',
      'restarting',
      'starting',
      'paused_limit',
      'paused_limit',
      'cancelled',
    ])
    expect(temp.ledger.sessions.get('s1')).toMatchObject({ restarts: 1, started_at: at(3) })
    expect(temp.ledger.sessions.completedAnswer('s1')).toMatchObject({
      success: false,
      error: 'session_failed',
      failure_reason: 'cancelled',
      message: 'Cancelled.',
      agent_id: TWO.agentId,
    })
  })

  it('has no answer before its end, and none when it is not known', () => {
    record(scriptedSession('s1').accepted().spawned(ONE).started(ONE).events)
    expect(temp.ledger.sessions.completedAnswer('s1')).toBeNull()
    expect(temp.ledger.sessions.completedAnswer('nobody')).toBeNull()
    expect(temp.ledger.sessions.get('nobody')).toBeNull()
  })

  it('takes the timeout that the acceptance names', () => {
    record(scriptedSession('s1').accepted({}, { timeout_seconds: 77 }).events)
    record(scriptedSession('s2').accepted().spawned(TWO).started(TWO).ended().events)
    expect(temp.ledger.sessions.get('s1')?.timeout_seconds).toBe(77)
    expect(temp.ledger.sessions.completedAnswer('s2')).toMatchObject({
      timeout_seconds: 3600,
      expected_completion: at(3603),
    })
  })
})

describe('agents after one another', () => {
  it('the one before is superseded, and its late lines complete record and cost, no state', () => {
    const session = scriptedSession('s1')
      .accepted()
      .spawned(ONE)
      .started(ONE)
      .result(ONE, { input: 10, usd: 0.1 })
      .spawned(TWO, { retry_count: 1, resumed: true })
      .started(TWO, { pid: 4712 })
      .result(ONE, { input: 5, usd: 0.05, isError: true, text: 'late' }, true)
      .exited(ONE, { status: 'killed', exit_code: null, exit_signal: 'SIGKILL' }, true)
      .closed(ONE, {}, true)
    record(session.events)

    expect(temp.ledger.agents.get(ONE.agentId)).toMatchObject({
      status: 'superseded',
      completed_at: at(5),
      exit_signal: 'SIGKILL',
    })
    expect(temp.ledger.sessions.get('s1')).toMatchObject({
      status: 'running',
      input_tokens: 15,
      estimated_cost_usd: 0.15,
      agent_id: TWO.agentId,
      pid: 4712,
      incomplete: false,
    })
    expect(temp.ledger.agents.ofSession('s1').map((agent) => agent.agent_id)).toEqual([
      ONE.agentId,
      TWO.agentId,
    ])
    expect(
      temp.rows('SELECT invocation_id, status, cost_micros, error FROM claude_invocations ORDER BY 1'),
    ).toEqual([
      { invocation_id: ONE.agentId, status: 'superseded', cost_micros: 150_000, error: 'late' },
      { invocation_id: TWO.agentId, status: 'running', cost_micros: 0, error: null },
    ])
  })

  it('the end keeps its state whatever comes after it, and late cost is added to it', () => {
    const session = scriptedSession('s1')
      .accepted()
      .spawned(ONE)
      .spawned(TWO)
      .exited(TWO)
      .closed(TWO)
      .ended({ cost_micros: 0 })
    record(session.events)
    expect(temp.ledger.sessions.get('s1')).toMatchObject({
      status: 'completed',
      estimated_cost_usd: 0,
      incomplete: false,
    })

    record(session.result(ONE, { usd: 0.25 }, true).own('drover.session.restarting', { restarts: 9 }).events)
    expect(temp.ledger.sessions.get('s1')).toMatchObject({
      status: 'completed',
      restarts: 0,
      estimated_cost_usd: 0.25,
      // The end did not know of it; nothing is missing.
      incomplete: false,
    })
  })

  it('an agent whose lines are not all here makes the session incomplete, until they are', () => {
    const session = scriptedSession('s1')
      .accepted()
      .spawned(ONE)
      .line(ONE, 'claude.assistant', {})
      .closed(ONE, { lines: 3 })
    record(session.events)
    expect(temp.ledger.sessions.get('s1')?.incomplete).toBe(true)
    record(session.line(ONE, 'claude.assistant', {}, true).events)
    expect(temp.ledger.sessions.get('s1')?.incomplete).toBe(true)
    record(session.line(ONE, 'claude.assistant', {}, true).events)
    expect(temp.ledger.sessions.get('s1')?.incomplete).toBe(false)
  })

  it('a tail that nobody knows makes it incomplete, until its pod is back', () => {
    const session = scriptedSession('s1')
      .accepted()
      .spawned(ONE)
      .closed(ONE, { lines: 0, sha256: null, tail_unknown: true })
      .spawned(TWO)
    record(session.events)
    expect(temp.ledger.sessions.get('s1')?.incomplete).toBe(true)
    record(session.line(ONE, 'claude.assistant', {}, true).closed(ONE, { lines: 1 }, true).events)
    expect(temp.ledger.sessions.get('s1')?.incomplete).toBe(false)
  })

  it('an id that Redis gave out twice is a fault, not a mixture', () => {
    record(scriptedSession('s1').accepted().spawned(ONE).result(ONE, { usd: 1 }).events)
    const again = { agentId: ONE.agentId, epoch: 300 }
    const batch = record(scriptedSession('s2').accepted().spawned(again).result(again, { usd: 7 }).events)
    expect(batch.faults).toHaveLength(2)
    expect(batch.faults[0]).toMatch(/belongs to another agent already/)
    expect(temp.ledger.agents.get(ONE.agentId)).toMatchObject({ session_id: 's1', epoch: 100 })
    expect(temp.ledger.sessions.get('s1')).toMatchObject({ estimated_cost_usd: 1, incomplete: false })
    expect(temp.ledger.sessions.get('s2')).toMatchObject({ incomplete: true })
    // What was said is kept all the same.
    expect(temp.ledger.events.lastSeq('s2')).toBe(3)
  })
})

describe('totals', () => {
  it('that the end reports higher than the lines are kept as the lines say, and flagged', () => {
    record(
      scriptedSession('s1').accepted().spawned(ONE).result(ONE, { usd: 0.3 }).ended({ cost_micros: 310_000 })
        .events,
    )
    expect(temp.ledger.sessions.get('s1')).toMatchObject({ estimated_cost_usd: 0.3, incomplete: true })
  })

  it('take nothing from counts that cannot be', () => {
    const line = {
      type: 'result',
      result: 'x',
      model_usage_since_last_result: { m: { inputTokens: -5, outputTokens: '9', costUSD: -1 } },
    }
    record(
      scriptedSession('s1')
        .accepted()
        .spawned(ONE)
        .line(ONE, 'claude.result', line)
        .line(ONE, 'claude.result', null).events,
    )
    expect(temp.ledger.sessions.get('s1')).toMatchObject({ estimated_cost_usd: 0, input_tokens: 0 })
    expect(temp.rows('SELECT cost_suspect, results FROM claude_invocations')).toEqual([
      { cost_suspect: 1, results: 2 },
    ])
  })
})

describe('events that come without what should be before them', () => {
  it('have a place all the same', () => {
    record(scriptedSession('s1').started(ONE).events)
    expect(temp.ledger.sessions.get('s1')).toMatchObject({ status: 'running', agent_type: 'architect' })
    record(scriptedSession('s2').ended({ status: 'failed', failure_reason: 'lost', message: 'Lost.' }).events)
    expect(statusOf('s2')).toBe('failed')
    record(scriptedSession('s3').result(TWO, { usd: 0.1 }).events)
    expect(temp.ledger.sessions.get('s3')).toMatchObject({ estimated_cost_usd: 0.1 })
  })

  it('and of types that this Drover does not know are kept', () => {
    const { faults } = record(
      scriptedSession('s1').accepted().own('drover.session.teleported', { to: 'moon' }).own('other.thing', [])
        .events,
    )
    expect(faults).toEqual([])
    expect(temp.ledger.events.lastSeq('s1')).toBe(3)
  })
})

describe('tasks', () => {
  it('wait for their dependencies, run with their session and end with it', () => {
    record([pendingTask('A'), pendingTask('B', ['A', 'NOT-YET'])])
    expect(temp.ledger.tasks.get('B')).toMatchObject({
      status: 'pending',
      run: 0,
      session_id: null,
      depends_on: ['A', 'NOT-YET'],
      waiting_for: ['A', 'NOT-YET'],
    })

    const session = scriptedSession('s-a').accepted({ task_id: 'A' })
    record(session.own('drover.task.spawned', { task_id: 'A', session_id: 's-a' }).events)
    expect(temp.ledger.tasks.get('A')).toMatchObject({
      status: 'spawned',
      session_id: 's-a',
      spawned_at: at(2),
    })
    record(session.spawned(ONE).started(ONE).events)
    expect(temp.ledger.tasks.get('A')).toMatchObject({
      status: 'running',
      assigned_agent: ONE.agentId,
      started_at: at(4),
    })
    record(
      session.ended().own('drover.task.ended', { task_id: 'A', status: 'completed', error_message: null })
        .events,
    )
    expect(temp.ledger.tasks.get('A')).toMatchObject({ status: 'completed', completed_at: at(5) })
    expect(temp.ledger.tasks.get('B')).toMatchObject({ status: 'pending', waiting_for: ['NOT-YET'] })
    expect(temp.ledger.tasks.dependentsOf('A')).toEqual(['B'])
  })

  it('with a session that waits are pending, and spawned as soon as nothing is waited for', () => {
    record([pendingTask('A'), pendingTask('B', ['A'])])
    const waiting = scriptedSession('s-b').accepted({ task_id: 'B' })
    record(waiting.own('drover.task.spawned', { task_id: 'B', session_id: 's-b' }).events)
    expect(temp.ledger.tasks.get('B')).toMatchObject({
      status: 'pending',
      session_id: 's-b',
      spawned_at: null,
    })
    expect(temp.ledger.sessions.get('s-b')?.waiting_for).toEqual(['A'])

    record(scriptedSession('s-a').accepted({ task_id: 'A' }).spawned(ONE).started(ONE).ended().events)
    expect(temp.ledger.tasks.get('B')).toMatchObject({ status: 'spawned', spawned_at: at(4) })
    expect(temp.ledger.sessions.get('s-b')?.waiting_for).toEqual([])
  })

  it('take the dependencies that the spawn names', () => {
    record([pendingTask('A'), pendingTask('B')])
    record(scriptedSession('s-b').accepted({ task_id: 'B', depends_on: ['A'] }).events)
    expect(temp.ledger.tasks.get('B')).toMatchObject({ status: 'pending', depends_on: ['A'] })
  })

  it('that were never added are made of their session', () => {
    record(scriptedSession('s-x').accepted({ task_id: 'X', depends_on: ['A'] }).events)
    expect(temp.ledger.tasks.get('X')).toMatchObject({
      status: 'pending',
      prompt: 'Write the spec.',
      depends_on: ['A'],
    })
    record([pendingTask('X', ['Z'], { prompt: 'another' })])
    expect(temp.ledger.tasks.get('X')).toMatchObject({ prompt: 'Write the spec.', depends_on: ['A'] })
  })

  it('are blocked by what failed, and come back with their next run', () => {
    record([pendingTask('A'), pendingTask('B', ['A'])])
    const first = scriptedSession('s-a').accepted({ task_id: 'A' })
    record(first.ended({ status: 'failed', message: 'It broke.' }).events)
    expect(temp.ledger.tasks.get('A')).toMatchObject({ status: 'failed', error_message: 'It broke.' })
    record([taskEvent('drover.task.blocked', { task_id: 'B', blocked_by: ['A'] })])
    expect(temp.ledger.tasks.get('B')).toMatchObject({
      status: 'blocked',
      error_message: 'It depends on A, which did not complete.',
    })

    record([pendingTask('A', [], { run: 1 }), pendingTask('B', ['A'], { run: 1 })])
    expect(temp.ledger.tasks.get('A')).toMatchObject({
      status: 'pending',
      run: 1,
      session_id: null,
      error_message: null,
    })
    expect(taskStatus('B')).toBe('pending')

    // What is left of the first run changes nothing any more.
    record([pendingTask('A', ['Z'], { run: 0 })])
    record(first.own('drover.task.ended', { task_id: 'A', status: 'failed', error_message: 'again' }).events)
    expect(temp.ledger.tasks.get('A')).toMatchObject({ status: 'pending', run: 1, depends_on: [] })
  })

  it('are cancelled while they wait, and end only with the session of their current run', () => {
    record([
      pendingTask('A'),
      taskEvent('drover.task.ended', { task_id: 'A', status: 'cancelled', error_message: null }),
    ])
    expect(taskStatus('A')).toBe('cancelled')

    record([pendingTask('B')])
    record(scriptedSession('s-old').accepted({ task_id: 'B' }).events)
    record(scriptedSession('s-new').accepted({ task_id: 'B' }).events)
    record(scriptedSession('s-old').accepted({ task_id: 'B' }).ended({ status: 'failed' }).events)
    expect(temp.ledger.tasks.get('B')).toMatchObject({ status: 'spawned', session_id: 's-new' })
  })
})

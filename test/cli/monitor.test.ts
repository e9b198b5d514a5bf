import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import pc from 'picocolors'
import type { MonitoredAgent } from '../../src/core/monitor.ts'
import { monitorAnswer } from '../../src/core/monitor.ts'
import { createOutput } from '../../src/cli/output.ts'
import { monitorText } from '../../src/cli/show-monitor.ts'
import { playSession } from '../board/play-session.ts'
import { until } from '../support/until.ts'
import { cliOfFile } from './cli-of-file.ts'

const AGENT: MonitoredAgent = {
  agent_id: 'architect-20260131-001',
  agent_type: 'architect',
  task_id: 'TASK-31-1',
  session_id: 'b2c3d4e5-f6a7-4901-8bcd-ef1234567890',
  status: 'running',
  pid: 12,
  pod_id: 'pod-1',
  process_alive: true,
  cpu_percent: 12.4,
  memory_mb: 301.2,
  seconds_since_heartbeat: 3.2,
  uptime_seconds: 200,
  health_status: 'healthy',
  doing: 'Bash npm test',
  num_turns: 2,
  cost_usd: 0.0312,
  cost_estimated: true,
}
const AT = new Date('2026-01-31T08:00:00.000Z')
const output = createOutput({ stdout: process.stdout, stderr: process.stderr, env: {}, json: false })

test('a table in which colours mean something; what an agent wrote moves no cursor', () => {
  const stalled = { ...AGENT, agent_id: 'architect-20260131-002', health_status: 'stalled' } as const
  const dead = { ...AGENT, health_status: 'dead', doing: 'Bash \u001B[2Jrm', cpu_percent: null } as const
  const text = monitorText(monitorAnswer([AGENT, stalled, dead], AT), [], {
    ...output,
    colors: pc.createColors(true),
    width: 120,
  })
  expect(text).toContain(pc.createColors(true).yellow('1 stalled'))
  expect(text).toContain(pc.createColors(true).red('dead'))
  expect(text).not.toContain('\u001B[2J')
  expect(stripVTControlCharacters(text).split('\n').slice(0, 4)).toEqual([
    '3 agents, 1 healthy, 1 stalled, 1 dead',
    '',
    'agent                   health   cpu   memory  beat  up          cost      doing',
    'architect-20260131-001  healthy  12 %  301 MB  3 s   3 min 20 s  ~$0.0312  TASK-31-1: Bash npm test',
  ])
})

test('nothing to show', () => {
  expect(monitorText(monitorAnswer([], AT), ['pod-1 is full'], output)).toBe(
    'No agent runs.\n\npod-1 is full',
  )
})

const { board, cli } = await cliOfFile()

test('exit code 1 where somebody should look; --watch goes on until Ctrl-C', async () => {
  const id = await board.spawn()
  const played = await playSession(board, id)
  const { agentId } = played.agent
  await until(async () => (await board.get('/api/v1/monitor')).body.agents[0]?.status === 'running')
  expect(await cli.json(['monitor'])).toMatchObject({
    code: 0,
    document: { success: true, agents_checked: 1, agents: [{ agent_id: agentId, health_status: 'healthy' }] },
  })
  const watching = cli.start(['--json', 'monitor', '--watch'])
  await until(() => watching.stdout().split('\n').length > 2)
  watching.child.kill('SIGINT')
  const { code, stdout } = await watching.ended
  expect(code).toBe(130)
  const looks = stdout.trimEnd().split('\n')
  expect(looks.map((look) => (JSON.parse(look) as { agents_checked: number }).agents_checked)).toEqual(
    looks.map(() => 1),
  )

  await board.redis.hset(board.keys.session(id), { beat_at: Date.now() - 120_000 })
  const { code: attention, stdout: table } = await cli.run(['monitor', '--agent-id', agentId])
  expect(attention).toBe(1)
  expect(table).toMatch(new RegExp(`^1 agent, 1 stalled\n\nagent .*\n${agentId} +stalled `))
  await played.end()
})

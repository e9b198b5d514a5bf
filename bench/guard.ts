/**
 * The start of an agent through the guard, in the tier that this machine can do, against a bare spawn of the same
 * program; and what the processes take that hold an agent. A start ends when the program runs: it prints the time.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { systemClock } from '../src/core/clock.ts'
import { readTarget } from '../src/guard/agent-file.ts'
import { startGuard, type AgentLaunch } from '../src/guard/client.ts'
import { residentMb } from '../src/guard/process-table.ts'
import { SPOOL_FILE } from '../src/guard/protocol.ts'
import { median, summarize, type Result } from './report.ts'
import { measurePairs, type Stage } from './stage.ts'

/** Prints nanoseconds of the wall clock as soon as it runs. */
const CLOCK = { file: '/bin/date', args: ['+%s%N'] }
const SLEEPER = { file: '/bin/sleep', args: ['600'] }
const ENV = { PATH: '/usr/bin:/bin' }
const RUN_MS = 60_000

export async function benchGuard(stage: Stage): Promise<readonly Result[]> {
  const guard = await startGuard({ heartbeatMs: 5000, recordDir: join(stage.dir, 'guards') })
  stage.defer(() => guard.stop())
  let number = 0
  const launch = async (program: Pick<AgentLaunch, 'file' | 'args'>): Promise<AgentLaunch> => {
    const agentId = `bench-${++number}`
    const dir = join(stage.dir, agentId)
    await mkdir(dir)
    const deadline = systemClock.monotonic() + RUN_MS
    return { ...program, agentId, sessionId: '', cwd: stage.dir, env: ENV, dir, deadline, input: '' }
  }

  async function ours(): Promise<number> {
    const clock = await launch(CLOCK)
    const start = Date.now()
    const agent = await guard.start(clock)
    await agent.exited
    return Number(await readFile(join(clock.dir, SPOOL_FILE), 'utf8')) / 1e6 - start
  }
  async function bare(): Promise<number> {
    const start = Date.now()
    const child = spawn(CLOCK.file, CLOCK.args, {
      cwd: stage.dir,
      env: ENV,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [output] = await Promise.all([text(child.stdout), once(child, 'close')])
    return Number(output) / 1e6 - start
  }
  /** RSS of the processes that hold one agent, the largest of them; 0 where the tier needs none. */
  async function holders(): Promise<number> {
    const sleeper = await launch(SLEEPER)
    const agent = await guard.start(sleeper)
    const target = readTarget(sleeper.dir)
    const extra = target?.tier === 'pid_namespace' ? [target.wrapper, target.init] : []
    const largest = Math.max(0, ...extra.map(({ pid }) => residentMb(pid)))
    agent.kill(0)
    await agent.exited
    return largest
  }

  await ours()
  await bare()
  const measured = await measurePairs(stage.pairs, ours, bare)
  const memory: number[] = []
  for (let n = 0; n < stage.pairs; n++) memory.push(await holders())
  return [
    {
      bench: 'guard',
      title: `the start of an agent through the guard (${guard.tier}) against a bare spawn`,
      unit: 'ms',
      measured: summarize(measured.map((pair) => pair.ours - pair.bare)),
      goal: { op: '<=', value: 50 },
      details: [
        { label: 'bare spawn', value: median(measured.map((pair) => pair.bare)), unit: 'ms' },
        { label: 'through the guard', value: median(measured.map((pair) => pair.ours)), unit: 'ms' },
      ],
    },
    {
      bench: 'guard',
      title: 'the largest process, beside the CLI, that an agent needs',
      unit: 'MB',
      measured: summarize(memory),
      goal: { op: '<=', value: 10, always: true },
      details: [],
    },
  ]
}

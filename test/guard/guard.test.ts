import { spawn, type ChildProcess } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { startGuard, type AgentLaunch, type Guard, type GuardOptions } from '../../src/guard/client.ts'
import { findSetpriv } from '../../src/guard/group.ts'
import { isDead, readProcess } from '../../src/guard/process-table.ts'
import { PROTOCOL_LINE_LIMIT_BYTES } from '../../src/guard/protocol.ts'
import { sweepLeftovers } from '../../src/guard/sweep.ts'
import { TIER_NAMES, type TierName } from '../../src/guard/tier.ts'
import { tryTiers } from '../../src/guard/try-tiers.ts'
import { inMs, launchOf, launchOfFake, launchOfShell, printed } from '../support/guarded.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { watchStandstill } from '../support/standstill.ts'
import { until } from '../support/until.ts'

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

let scratch: Scratch
let started: ChildProcess[] = []
let guards: Guard[] = []

beforeEach(async () => {
  scratch = await createScratch()
})
afterEach(async () => {
  for (const child of started) child.kill('SIGKILL')
  for (const guard of guards) await guard.stop()
  started = []
  guards = []
  await scratch.check()
})

/** A child of the test that prints JSON lines. */
function startTalker(args: readonly string[]): { child: ChildProcess; said: Record<string, unknown>[] } {
  const child = spawn(process.execPath, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { TEST_DIR: scratch.dir },
  })
  const said: Record<string, unknown>[] = []
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) said.push({ ...JSON.parse(line) })
  })
  child.stdin.on('error', () => undefined)
  started.push(child)
  return { child, said }
}

/** A worker process with its guard and agents, all of them running. */
async function startWorker(launches: readonly AgentLaunch[], options: Partial<GuardOptions> = {}) {
  const worker = path('../support/guard-worker.ts')
  const { child, said } = startTalker([worker, JSON.stringify(launches), JSON.stringify(options)])
  await Promise.all(launches.map((launch) => printed(launch, '"type":"result"')))
  const guardPid = Number(said.find((line) => 'guard' in line)?.['guard'])
  const pids = launches.map(({ agentId }) => Number(said.find((line) => line['agent'] === agentId)?.['pid']))
  return { child, said, guardPid, pids }
}

function isAlive(pid: number): boolean {
  const entry = readProcess(pid)
  return entry !== null && !isDead(entry)
}

/** Who is woken first may have killed others before it is their turn. */
function signalAll(pids: ReadonlySet<number>, signal: 'SIGSTOP' | 'SIGCONT'): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

const exitOf = (said: readonly Record<string, unknown>[]): unknown =>
  said.find((line) => 'exit' in line)?.['exit']

async function startTestGuard(tiers: readonly TierName[] = TIER_NAMES): Promise<Guard> {
  const guard = await startGuard({ heartbeatMs: 200, tiers })
  guards.push(guard)
  return guard
}

const DAEMONS = { daemons: ['plain', 'setsid', 'double_fork'], ignore_term: true } as const
const ALL_DAEMONS = {
  daemons: [...DAEMONS.daemons, 'env_clean', 'env_clean_double_fork'],
  ignore_term: true,
} as const
const tries = await tryTiers()
const works = (tier: TierName): boolean => tries.find((result) => result.tier === tier)?.works === true
/** Those that find everything. */
const strongTiers = TIER_NAMES.filter((tier) => tier !== 'group' && works(tier))
/** What must be gone after a `kill -9` is gone after this. */
const GONE_MS = 1000

/** Everything of the test is gone, apart from the processes named. */
async function gone(except: readonly number[] = []): Promise<boolean> {
  return (await scratch.processes()).every((line) => except.includes(Number(line.split(' ')[0])))
}

describe('when the worker is gone', () => {
  it.each([...strongTiers, 'group'] as const)(
    'ends all agents and itself after kill -9 (%s)',
    async (tier) => {
      const daemons = tier === 'group' ? DAEMONS : ALL_DAEMONS
      const launches = [1, 2, 3].map((n) => launchOfFake(scratch.dir, `a-${n}`, daemons))
      const { child, guardPid, pids } = await startWorker(launches, { tiers: [tier] })
      child.kill('SIGKILL')
      await until(() => ![guardPid, ...pids].some(isAlive), {
        timeoutMs: GONE_MS,
        message: 'all agents are gone',
      })
      expect(await until(() => gone(), { timeoutMs: GONE_MS, message: 'daemons are gone' })).toBe(true)
    },
  )

  it('ends an agent that is being started at that moment', async () => {
    const launch = launchOfShell(scratch.dir, 'a-1', 'sleep 600')
    const { child, said } = startTalker([path('../../src/guard/main.ts'), '1000'])
    await until(() => said.some((line) => line['event'] === 'ready'))
    const { sessionId: _, agentId, ...rest } = launch
    child.stdin?.end(`${JSON.stringify({ op: 'start', agent_id: agentId, mark: 'm-1', ...rest })}\n`)
    await until(() => child.exitCode === 0)
    expect(said.at(-1)).toMatchObject({
      event: 'exited',
      agent_id: 'a-1',
      ended_by: 'worker_gone',
      signal: 'SIGKILL',
    })
  })

  it('enforces the deadline of a frozen worker', async () => {
    const { child, said, guardPid, pids } = await startWorker([launchOfFake(scratch.dir, 'a-1', DAEMONS)])
    child.stdin?.write('1500')
    const deadline = Number(await until(() => said.find((line) => 'deadline' in line)?.['deadline']))
    child.kill('SIGSTOP')
    await until(() => !pids.some(isAlive), { timeoutMs: 20_000, message: 'the agent is gone' })
    expect(systemClock.monotonic()).toBeGreaterThanOrEqual(deadline)
    expect(isAlive(guardPid)).toBe(true)
    child.kill('SIGCONT')
    await until(() => exitOf(said))
    expect(exitOf(said)).toMatchObject({ endedBy: 'deadline', signal: 'SIGKILL' })
  })
})

describe('when the guard is gone', () => {
  it.each([...strongTiers, 'group'] as const)(
    'the worker knows, and sweeps what it left (%s)',
    async (tier) => {
      const guard = await startTestGuard([tier])
      const daemons = tier === 'group' ? DAEMONS : ALL_DAEMONS
      const launches = [1, 2].map((n) => launchOfFake(scratch.dir, `a-${n}`, daemons))
      const agents = await Promise.all(launches.map((launch) => guard.start(launch)))
      await Promise.all(launches.map((launch) => printed(launch, '"type":"result"')))
      process.kill(guard.pid, 'SIGKILL')
      await guard.gone
      for (const agent of agents) {
        const exit = await agent.exited
        expect(exit).toMatchObject({
          code: null,
          signal: null,
          endedBy: 'guard_lost',
          killedGracefully: false,
        })
        // With a pid namespace the kernel may be faster than the look.
        if (tier !== 'pid_namespace')
          expect(exit.processesKilled).toBeGreaterThanOrEqual(daemons.daemons.length)
        expect(isAlive(agent.pid)).toBe(false)
        expect(await agent.extend(inMs(1000))).toBe(false)
      }
      expect(await scratch.processes()).toEqual([])
      const files = launches.flatMap((launch) => readdirSync(launch.dir))
      expect(files.filter((name) => name === 'processes.json')).toEqual([])
      await expect(guard.start(launchOf(scratch.dir, 'a-3'))).rejects.toThrow('The guard is gone')
    },
  )

  it('a frozen guard is ended once it is late with a kill', async () => {
    const guard = await startTestGuard()
    const launch = launchOfFake(scratch.dir, 'a-1', DAEMONS)
    const agent = await guard.start(launch)
    await printed(launch, '"type":"result"')
    const deadline = inMs(1000)
    await agent.extend(deadline)
    process.kill(guard.pid, 'SIGSTOP')
    const extended = agent.extend(inMs(60_000))
    expect(await agent.exited).toMatchObject({ endedBy: 'guard_lost' })
    expect(await extended).toBe(false)
    expect(agent.acknowledged).toBe(deadline)
    expect(systemClock.monotonic()).toBeGreaterThanOrEqual(deadline)
    await guard.gone
  })

  it.runIf(works('pid_namespace'))(
    'everything dies with it, also when no worker is left to sweep',
    async () => {
      const { child, guardPid } = await startWorker([launchOfFake(scratch.dir, 'a-1', ALL_DAEMONS)])
      child.kill('SIGSTOP')
      process.kill(guardPid, 'SIGKILL')
      expect(
        await until(() => gone([child.pid ?? 0, guardPid]), { timeoutMs: GONE_MS, message: 'all is gone' }),
      ).toBe(true)
    },
  )

  it.runIf(findSetpriv() !== null).each(TIER_NAMES.filter((tier) => tier !== 'pid_namespace' && works(tier)))(
    'the CLI dies with it, and the next pod ends the rest (%s)',
    async (tier) => {
      const daemons = tier === 'group' ? DAEMONS : ALL_DAEMONS
      const launch = launchOfFake(scratch.dir, 'a-1', daemons)
      const { child, guardPid, pids } = await startWorker([launch], { tiers: [tier] })
      child.kill('SIGSTOP')
      process.kill(guardPid, 'SIGKILL')
      child.kill('SIGKILL')
      await until(() => !pids.some(isAlive), { message: 'the CLI is gone' })
      expect(await scratch.processes()).not.toEqual([])
      expect(await sweepLeftovers(launch.dir)).toBeGreaterThanOrEqual(daemons.daemons.length)
      expect(await scratch.processes()).toEqual([])
      expect(await sweepLeftovers(launch.dir)).toBe(0)
    },
  )
})

describe('after a freeze', () => {
  it('of the whole pod the agent is dead at once, F06b', async () => {
    const launch = launchOfFake(scratch.dir, 'a-1', ALL_DAEMONS)
    const { child, said, guardPid, pids } = await startWorker([launch])
    child.stdin?.write('1000')
    const deadline = Number(await until(() => said.find((line) => 'deadline' in line)?.['deadline']))
    const left = (await scratch.processes()).map((line) => Number(line.split(' ')[0]))
    const all = new Set([child.pid ?? 0, guardPid, ...pids, ...left])
    signalAll(all, 'SIGSTOP')
    await until(() => systemClock.monotonic() > deadline + 200)
    const standstill = watchStandstill()
    const thawed = systemClock.monotonic()
    signalAll(all, 'SIGCONT')
    await until(() => !pids.some(isAlive))
    const deadAt = systemClock.monotonic()
    // And what a busy machine takes to find that out.
    expect(deadAt - thawed).toBeLessThan(250 + 400 + standstill.between(thawed, deadAt))
    await standstill.stop()
    await until(() => gone([child.pid ?? 0, guardPid]))
  })

  it('a deadline that has passed is not moved by what had waited to be read', async () => {
    const launch = launchOfShell(scratch.dir, 'a-1', 'sleep 600', { deadline: inMs(1000) })
    const { child, said } = startTalker([path('../../src/guard/main.ts'), '1000'])
    await until(() => said.some((line) => line['event'] === 'ready'))
    const { sessionId: _, agentId, ...rest } = launch
    child.stdin?.write(`${JSON.stringify({ op: 'start', agent_id: agentId, mark: 'm-1', ...rest })}\n`)
    await until(() => said.some((line) => line['event'] === 'started'))
    child.kill('SIGSTOP')
    child.stdin?.write(`${JSON.stringify({ op: 'deadline', agent_id: agentId, deadline: inMs(600_000) })}\n`)
    await until(() => systemClock.monotonic() > launch.deadline)
    child.kill('SIGCONT')
    await until(() => said.some((line) => line['event'] === 'exited'))
    expect(said.slice(2)).toMatchObject([
      { event: 'killing', ended_by: 'deadline' },
      { event: 'refused', op: 'deadline', code: 'unknown_agent' },
      { event: 'exited', ended_by: 'deadline', signal: 'SIGKILL' },
    ])
    child.stdin?.end()
  })
})

describe('on the wire', () => {
  it('refuses what it does not understand, and goes on', async () => {
    const { child, said } = startTalker([path('../../src/guard/main.ts'), '1000'])
    await until(() => said.some((line) => line['event'] === 'ready'))
    const lines = [
      'not json',
      '[]',
      '{"op":"reboot","agent_id":"a-1"}',
      '{"op":"constructor"}',
      '{"op":"deadline","agent_id":"a-1"}',
      '{"op":"start","agent_id":"a-1","args":"-rf /"}',
      '{"op":"kill","agent_id":"a-1","grace_ms":0}',
    ]
    for (const line of lines) child.stdin?.write(`${line}\n`)
    await until(() => said.length === lines.length + 1)
    expect(said.slice(1).map((line) => [line['event'], line['code']])).toEqual([
      ...lines.slice(0, -1).map(() => ['refused', 'invalid_command']),
      ['refused', 'unknown_agent'],
    ])
    child.stdin?.write('{"op":"stop"}\n')
    await until(() => child.exitCode === 0)
  })

  it('does not die of the signals that a stop of the whole service sends', async () => {
    const guard = await startTestGuard()
    const launch = launchOfFake(scratch.dir, 'a-1', {})
    const agent = await guard.start(launch)
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.kill(guard.pid, signal)
    await printed(launch, '"type":"result"')
    agent.closeInput()
    expect((await agent.exited).code).toBe(0)
    expect(isAlive(guard.pid)).toBe(true)
  })

  it('takes the longest prompt that a caller may send', () => {
    // 10 MB of a control character: six bytes in the message, seven in the command.
    expect(PROTOCOL_LINE_LIMIT_BYTES).toBeGreaterThan(7 * 10 * 1024 * 1024 + 1024)
  })
})

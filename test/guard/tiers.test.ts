import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startGuard, type AgentLaunch, type Guard, type GuardedAgent } from '../../src/guard/client.ts'
import { isDead, readProcess } from '../../src/guard/process-table.ts'
import { TIER_NAMES, type TierName } from '../../src/guard/tier.ts'
import { tryTiers } from '../../src/guard/try-tiers.ts'
import type { DaemonKind, FakeScript } from '../support/fake-claude.ts'
import { launchOfFake, launchOfShell, printed, spoolOf } from '../support/guarded.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { until } from '../support/until.ts'

const tries = await tryTiers()

const ALL_KINDS: readonly DaemonKind[] = [
  'plain',
  'setsid',
  'double_fork',
  'env_clean',
  'env_clean_double_fork',
]
/** Those that the weakest tier finds after the CLI has gone: they carry the mark. */
const MARKED_KINDS: readonly DaemonKind[] = ['plain', 'setsid', 'double_fork']
const kindsOf = (tier: TierName): readonly DaemonKind[] => (tier === 'group' ? MARKED_KINDS : ALL_KINDS)

let scratch: Scratch
let guard: Guard

/** Starts the fake CLI with daemons, and waits until it and they are there. */
async function startWithDaemons(
  kinds: readonly DaemonKind[],
  script: FakeScript = {},
): Promise<{ agent: GuardedAgent; launch: AgentLaunch }> {
  const launch = launchOfFake(scratch.dir, 'a-1', { daemons: kinds, ...script })
  const agent = await guard.start(launch)
  const dir = join(scratch.dir, 'daemons', 'a-1')
  await until(
    () => existsSync(dir) && readdirSync(dir).filter((name) => name.endsWith('.pid')).length === kinds.length,
  )
  await printed(launch, '"type":"result"')
  return { agent, launch }
}

/** The live processes of the test outside of the guard itself. */
async function survivors(): Promise<string[]> {
  return (await scratch.processes()).filter((line) => !line.startsWith(`${guard.pid} `))
}

const ENDS: readonly [string, (agent: GuardedAgent) => void, object][] = [
  ['a normal end', (agent) => agent.closeInput(), { code: 0, signal: null, endedBy: null }],
  [
    'a crash',
    (agent) => process.kill(agent.pid, 'SIGKILL'),
    { code: null, signal: 'SIGKILL', endedBy: null, killedGracefully: false },
  ],
  [
    'SIGTERM',
    (agent) => agent.kill(30_000),
    { code: 143, signal: null, endedBy: 'kill', killedGracefully: true },
  ],
  [
    'SIGKILL',
    (agent) => agent.kill(0),
    { code: null, signal: 'SIGKILL', endedBy: 'kill', killedGracefully: false },
  ],
]

describe.each(TIER_NAMES)('the tier %s', (tier) => {
  const result = tries.find((found) => found.tier === tier)

  describe.runIf(result?.works === true)(`(${result?.why})`, () => {
    beforeEach(async () => {
      scratch = await createScratch()
      guard = await startGuard({ heartbeatMs: 100, tiers: [tier], requireTier: tier })
    })
    afterEach(async () => {
      await guard.stop()
      await scratch.check()
    })

    it('is named by the guard', () => {
      expect(guard.tier).toBe(tier)
    })

    it.each(ENDS)('leaves nothing after %s, with any standard output held open', async (_, end, expected) => {
      const kinds = kindsOf(tier)
      const { agent } = await startWithDaemons(kinds, { hold_stdout: true })
      end(agent)
      const exit = await agent.exited
      expect(exit).toMatchObject(expected)
      // Each daemon is a shell and its sleep, or only the shell so far.
      expect(exit.processesKilled).toBeGreaterThanOrEqual(kinds.length)
      expect(await survivors()).toEqual([])
    })

    it("gives the CLI's own pid and start, and its exit code", async () => {
      const launch = launchOfShell(
        scratch.dir,
        'a-1',
        'echo "$PPID" >/dev/null; echo up; read -r code; exit "$code"',
      )
      const agent = await guard.start(launch)
      await printed(launch, 'up')
      expect(readFileSync(`/proc/${agent.pid}/cmdline`, 'utf8').split('\0').slice(0, 2)).toEqual([
        '/bin/sh',
        '-c',
      ])
      expect(readProcess(agent.pid)?.startTime).toBe(agent.startTime)
      agent.input('3')
      expect(await agent.exited).toEqual({
        code: 3,
        signal: null,
        endedBy: null,
        processesKilled: 0,
        killedGracefully: false,
      })
    })

    it.each([
      ['SIGSEGV', { code: null, signal: 'SIGSEGV' }],
      ['SIGKILL', { code: null, signal: 'SIGKILL' }],
    ] as const)('tells that the CLI was ended by %s', async (signal, expected) => {
      const launch = launchOfShell(scratch.dir, 'a-1', `kill -${signal.slice(3)} $$`)
      expect(await (await guard.start(launch)).exited).toMatchObject(expected)
      expect(readFileSync(join(launch.dir, 'stderr.log'), 'utf8')).toBe('')
    })

    it('tells the end of a CLI that ends at once', async () => {
      const agent = await guard.start(launchOfShell(scratch.dir, 'a-1', 'exit 7'))
      expect(agent.pid).toBeGreaterThan(1)
      expect(await agent.exited).toMatchObject({ code: 7, signal: null })
    })

    it('is the same user inside, and may be somebody of its own', async () => {
      const launch = launchOfShell(scratch.dir, 'a-1', 'id -u')
      await (
        await guard.start(launch)
      ).exited
      expect(Number(spoolOf(launch))).toBe(process.getuid?.())
    })

    it('keeps what ends the agent in its directory for as long as it lives', async () => {
      const launch = launchOfShell(scratch.dir, 'a-1', 'sleep 600')
      const agent = await guard.start(launch)
      const kept: unknown = JSON.parse(readFileSync(join(launch.dir, 'processes.json'), 'utf8'))
      expect(kept).toMatchObject({ target: { tier } })
      agent.kill(0)
      await agent.exited
      expect(readdirSync(launch.dir)).not.toContain('processes.json')
    })

    it('ends an agent and not another one', async () => {
      const other = await guard.start(launchOfShell(scratch.dir, 'a-2', 'sleep 600'))
      const agent = await guard.start(launchOfShell(scratch.dir, 'a-1', 'sleep 600 & exit 0'))
      expect(await agent.exited).toMatchObject({ code: 0, processesKilled: 1 })
      expect(isDead(readProcess(other.pid) ?? ({ state: 'X' } as never))).toBe(false)
      other.kill(0)
      await other.exited
    })

    it('samples the CLI and what it started, without what holds them', async () => {
      const launch = launchOfShell(scratch.dir, 'a-1', 'env -i sleep 600 & while :; do :; done')
      const agent = await guard.start(launch)
      const sample = Promise.withResolvers<unknown>()
      agent.onSample((seen) => {
        if ((seen.cpuMs ?? 0) >= 50) sample.resolve(seen)
      })
      expect(await sample.promise).toMatchObject({ state: 'R', processes: 2 })
      agent.kill(0)
      expect((await agent.exited).processesKilled).toBe(2)
    })
  })
})

describe.runIf(tries.find(({ tier }) => tier === 'pid_namespace')?.works === true)('a pid namespace', () => {
  beforeEach(async () => {
    scratch = await createScratch()
    guard = await startGuard({ heartbeatMs: 100 })
  })
  afterEach(async () => {
    await guard.stop()
    await scratch.check()
  })

  it('is chosen where it works, and is one for each agent', async () => {
    expect(guard.tier).toBe('pid_namespace')
    const agents = await Promise.all(
      ['a-1', 'a-2'].map((id) => guard.start(launchOfShell(scratch.dir, id, 'sleep 600'))),
    )
    const namespaces = [process.pid, ...agents.map(({ pid }) => pid)].map((pid) =>
      readlinkSync(`/proc/${pid}/ns/pid`),
    )
    expect(new Set(namespaces).size).toBe(3)
  })

  it('is ended with what the agent put into namespaces of its own', async () => {
    const nested = 'unshare --user --map-current-user --pid --fork sh -c "echo up; sleep 600; :"'
    const launch = launchOfShell(scratch.dir, 'a-1', nested)
    const agent = await guard.start(launch)
    await printed(launch, 'up')
    agent.kill(0)
    // sh, unshare, sh and its sleep.
    expect((await agent.exited).processesKilled).toBeGreaterThanOrEqual(3)
    expect(await survivors()).toEqual([])
  })

  it.each(['wrapper', 'init'])('reports the end when somebody kills its %s', async (part) => {
    const launch = launchOfFake(scratch.dir, 'a-1', { daemons: ALL_KINDS })
    const agent = await guard.start(launch)
    await printed(launch, '"type":"result"')
    const kept = JSON.parse(readFileSync(join(launch.dir, 'processes.json'), 'utf8')) as {
      target: Record<string, { pid: number }>
    }
    process.kill(kept.target[part]?.pid ?? 0, 'SIGKILL')
    expect(await agent.exited).toMatchObject({ code: null, signal: 'SIGKILL', endedBy: null })
    expect(await survivors()).toEqual([])
  })
})

describe('the hole of the tier group', () => {
  beforeEach(async () => {
    scratch = await createScratch()
    guard = await startGuard({ heartbeatMs: 100, tiers: ['group'] })
  })
  afterEach(async () => {
    await guard.stop()
    await scratch.check()
  })

  it('is not there while the parent lives', async () => {
    const { agent } = await startWithDaemons([...MARKED_KINDS, 'env_clean'])
    agent.kill(0)
    await agent.exited
    expect(await survivors()).toEqual([])
  })

  it('is a process that left environment, session and parent', async () => {
    const { agent } = await startWithDaemons(['env_clean_double_fork'])
    agent.kill(0)
    await agent.exited
    const left = await survivors()
    expect(left.length).toBeGreaterThan(0)
    for (const line of left) process.kill(Number(line.split(' ')[0]), 'SIGKILL')
  })
})

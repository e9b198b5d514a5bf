import { lstatSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import {
  GuardLost,
  startGuard,
  type AgentLaunch,
  type AgentSample,
  type Guard,
} from '../../src/guard/client.ts'
import { userMessage } from '../../src/session/message.ts'
import { isTreeAlive } from '../support/fake-claude.ts'
import {
  inMs,
  LATER_MS,
  launchOf,
  launchOfFake,
  launchOfShell,
  printed,
  spoolOf,
} from '../support/guarded.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { until } from '../support/until.ts'

let scratch: Scratch
let guard: Guard

beforeEach(async () => {
  scratch = await createScratch()
  guard = await startGuard({ heartbeatMs: 100 })
})
afterEach(async () => {
  await guard.stop()
  await scratch.check()
})

it('starts an agent, gives it its input, and tells its end', async () => {
  const launch = launchOfFake(scratch.dir, 'a-1', { lines: 2 })
  const agent = await guard.start(launch)
  expect(agent.pid).toBeGreaterThan(1)
  expect(agent.startTime).toBeGreaterThan(0)
  await printed(launch, '"result":"done"')
  agent.closeInput()
  expect(await agent.exited).toEqual({
    code: 0,
    signal: null,
    endedBy: null,
    processesKilled: 0,
    killedGracefully: false,
  })
  const lines = spoolOf(launch)
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line))
  expect(lines).toMatchObject(['system', 'assistant', 'assistant', 'result'].map((type) => ({ type })))
})

it('takes further input while the agent lives', async () => {
  const launch = launchOfFake(scratch.dir, 'a-1', { text: 'first' })
  const agent = await guard.start(launch)
  await printed(launch, '"result":"first"')
  agent.input(userMessage('{"fake": {"text": "second"}}', 'u-2'))
  await printed(launch, '"result":"second"')
  agent.closeInput()
  agent.input('into the void')
  expect((await agent.exited).code).toBe(0)
})

it('tells the exit code of a failed agent, and keeps its standard error', async () => {
  const launch = launchOfShell(scratch.dir, 'a-1', 'echo why >&2; exit 3')
  const agent = await guard.start(launch)
  expect(await agent.exited).toMatchObject({ code: 3, signal: null, endedBy: null })
  expect(readFileSync(join(launch.dir, 'stderr.log'), 'utf8')).toBe('why\n')
})

it('gives the agent the environment it was told and its mark, and nothing else', async () => {
  const launch = launchOfShell(scratch.dir, 'a-1', 'exec cat /proc/self/environ')
  await (
    await guard.start(launch)
  ).exited
  const names = spoolOf(launch)
    .split('\0')
    .filter((entry) => entry !== '')
    .map((entry) => entry.split('=')[0])
  // The shell adds its working directory.
  expect(new Set(names)).toEqual(new Set(['DROVER_AGENT_MARK', 'HOME', 'PATH', 'PWD', 'TEST_DIR']))
  expect(spoolOf(launch)).toMatch(/DROVER_AGENT_MARK=a-1\.[0-9a-f]{16}\0/)
})

it('has no environment of its own', () => {
  expect(readFileSync(`/proc/${guard.pid}/environ`, 'utf8')).toBe('')
})

it('writes the spool for its user alone', async () => {
  const launch = launchOfShell(scratch.dir, 'a-1', 'true')
  await (
    await guard.start(launch)
  ).exited
  expect(statSync(join(launch.dir, 'stdout.ndjson')).mode & 0o777).toBe(0o600)
})

it('takes an input of 10 MB from a slow reader, and answers meanwhile', async () => {
  const input = 'é'.repeat(5 * 1024 * 1024)
  const launch = launchOfShell(
    scratch.dir,
    'a-1',
    'until [ -e "$TEST_DIR/go" ]; do sleep 0.05; done; wc -c',
    { input },
  )
  const agent = await guard.start(launch)
  agent.closeInput()
  const deadline = inMs(LATER_MS)
  expect(await agent.extend(deadline)).toBe(true)
  expect(agent.acknowledged).toBe(deadline)
  writeFileSync(join(scratch.dir, 'go'), '')
  await agent.exited
  expect(Number(spoolOf(launch))).toBe(Buffer.byteLength(input) + 1)
})

it('is not ended by an agent that closes its input', async () => {
  const launch = launchOfShell(scratch.dir, 'a-1', 'exec 0<&-; echo closed; sleep 0.5')
  const agent = await guard.start(launch)
  await printed(launch, 'closed')
  for (let n = 0; n < 50; n++) agent.input('x'.repeat(100_000))
  expect(await agent.exited).toMatchObject({ code: 0, endedBy: null })
})

it('runs many agents at once, each with its own end', async () => {
  const launches = [1, 2, 3, 4, 5].map((n) => launchOfFake(scratch.dir, `a-${n}`, { text: `answer ${n}` }))
  const agents = await Promise.all(launches.map((launch) => guard.start(launch)))
  expect(new Set(agents.map((agent) => agent.pid)).size).toBe(5)
  await Promise.all(launches.map((launch, n) => printed(launch, `"result":"answer ${n + 1}"`)))
  agents[2]?.kill(0)
  expect(await agents[2]?.exited).toMatchObject({ endedBy: 'kill', signal: 'SIGKILL' })
  for (const agent of agents) agent.closeInput()
  const exits = await Promise.all(agents.map((agent) => agent.exited))
  expect(exits.map((exit) => exit.code)).toEqual([0, 0, null, 0, 0])
})

it('samples state, CPU, memory, spool and number of processes', async () => {
  const busy = 'sleep 600 & echo started; while :; do :; done'
  const launch = launchOfShell(scratch.dir, 'a-1', busy)
  const agent = await guard.start(launch)
  const samples: AgentSample[] = []
  agent.onSample((sample) => samples.push(sample))
  const last = await until(
    () => samples.find((sample) => (sample.cpuMs ?? 0) >= 50 && sample.processes === 2),
    {
      message: () => JSON.stringify(samples.at(-1)),
    },
  )
  expect(last).toMatchObject({ agentId: 'a-1', state: 'R', spoolBytes: 8 })
  expect(last.memoryMb).toBeGreaterThan(0.1)
  agent.kill(0)
  expect((await agent.exited).processesKilled).toBe(2)
})

it('samples a stopped agent as stopped', async () => {
  const agent = await guard.start(launchOfFake(scratch.dir, 'a-1', { stop_self: true }))
  const samples: AgentSample[] = []
  agent.onSample((sample) => samples.push(sample))
  await until(() => samples.some((sample) => sample.state === 'T'))
  agent.kill(0)
  expect(await agent.exited).toMatchObject({ signal: 'SIGKILL' })
})

it.each<[string, Partial<AgentLaunch>, RegExp]>([
  [
    'a program that is missing',
    { file: '/nonexistent/claude' },
    /program \/nonexistent\/claude does not exist/,
  ],
  ['a program that may not be run', { file: '/etc/passwd' }, /\/etc\/passwd may not be executed/],
  ['a directory as program', { file: '/tmp' }, /program \/tmp does not exist/],
  [
    'a working directory that is missing',
    { cwd: '/nonexistent/place' },
    /working directory \/nonexistent\/place/,
  ],
  [
    'a working directory that is a file',
    { cwd: '/etc/passwd' },
    /working directory \/etc\/passwd is not a directory/,
  ],
  ['an argument that is too long', { args: ['x'.repeat(200_000)] }, /E2BIG.*pass long text in a file/],
  ['a NUL in an argument', { args: ['a\0b'] }, /null bytes/],
  [
    'an agent directory that is missing',
    { dir: '/nonexistent/agent' },
    /file \/nonexistent\/agent\/stdout.ndjson cannot be/,
  ],
  ['a deadline that has passed', { deadline: 1 }, /deadline of agent a-1 had passed/],
])('refuses %s with a sentence', async (_, changes, message) => {
  const refused = guard.start(launchOf(scratch.dir, 'a-1', changes))
  await expect(refused).rejects.toThrow(message)
  const isLate = 'deadline' in changes
  expect(await refused.catch((error: unknown) => error instanceof GuardLost)).toBe(isLate)
  // The guard is as good as before, and the id is free.
  const agent = await guard.start(launchOfShell(scratch.dir, 'a-1', 'exit 0'))
  expect((await agent.exited).code).toBe(0)
})

it('refuses a second agent of the same id', async () => {
  const launch = launchOfShell(scratch.dir, 'a-1', 'sleep 600')
  const agent = await guard.start(launch)
  await expect(guard.start(launch)).rejects.toMatchObject({ code: 'spawn_failed' })
  agent.kill(0)
  await agent.exited
})

it('answers false to a deadline for an agent that is gone', async () => {
  const launch = launchOfShell(scratch.dir, 'a-1', 'exit 0')
  const agent = await guard.start(launch)
  await agent.exited
  expect(await agent.extend(inMs(LATER_MS))).toBe(false)
  expect(agent.acknowledged).toBe(launch.deadline)
})

it('ends everything when it is stopped, and may be stopped twice', async () => {
  const witness = join(scratch.dir, 'witness')
  const launch = launchOfFake(scratch.dir, 'a-1', {
    daemons: ['plain', 'setsid', 'double_fork'],
    ignore_term: true,
  })
  const agent = await guard.start({
    ...launch,
    env: { ...launch.env, DROVER_WITNESS_DIR: witness, AGENT_ID: 'a-1' },
  })
  await printed(launch, '"type":"result"')
  expect(isTreeAlive(witness, 'a-1')).toBe(true)
  await Promise.all([guard.stop(), guard.stop()])
  await guard.gone
  expect(await agent.exited).toMatchObject({ signal: 'SIGKILL' })
  expect(isTreeAlive(witness, 'a-1')).toBe(false)
  expect(await scratch.processes()).toEqual([])
  await guard.stop()
  await expect(guard.start(launch)).rejects.toThrow('The guard is gone')
})

it('rejects when the guard cannot be started', async () => {
  const entry = join(scratch.dir, 'broken.js')
  writeFileSync(entry, 'throw new Error("no guard today")')
  const refused = startGuard({ heartbeatMs: 100, entry })
  await expect(refused).rejects.toThrow('no guard today')
  await expect(refused).rejects.toMatchObject({ code: 'spawn_failed' })
})

it('outlives an agent that puts a loop of links in the place of its directory, and so do the others', async () => {
  const other = await guard.start(launchOfShell(scratch.dir, 'other', 'exec sleep 60'))
  const samples: AgentSample[] = []
  const launch = launchOf(scratch.dir, 'loop')
  const { dir } = launch
  const agent = await guard.start({
    ...launch,
    args: ['-c', `mv ${dir} ${dir}.old; ln -s ${dir} ${dir}; exec sleep 60`],
  })
  agent.onSample((sample) => samples.push(sample))
  await until(() => lstatSync(dir).isSymbolicLink())
  const before = samples.length
  await until(() => samples.length > before + 1)
  agent.kill(0)
  expect(await agent.exited).toMatchObject({ endedBy: 'kill' })
  other.kill(0)
  expect(await other.exited).toMatchObject({ endedBy: 'kill' })
})

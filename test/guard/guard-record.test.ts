import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { keepTarget } from '../../src/guard/agent-file.ts'
import { startGuard, type AgentLaunch } from '../../src/guard/client.ts'
import { endLeftGuards, keepGuardRecord } from '../../src/guard/guard-record.ts'
import { identityOf, isLive, readProcess } from '../../src/guard/process-table.ts'
import { sweepLeftovers } from '../../src/guard/sweep.ts'
import { TIER_NAMES } from '../../src/guard/tier.ts'
import { tryTiers } from '../../src/guard/try-tiers.ts'
import { launchOf, launchOfFake, launchOfShell, printed } from '../support/guarded.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { until } from '../support/until.ts'

const tries = await tryTiers()
const possible = TIER_NAMES.filter((tier) => tries.find((result) => result.tier === tier)?.works)
const WORKER = fileURLToPath(new URL('../support/guard-worker.ts', import.meta.url))

let scratch: Scratch
let recordDir: string
let children: ChildProcess[] = []

beforeEach(async () => {
  scratch = await createScratch()
  recordDir = join(scratch.dir, 'guards')
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  children = []
  await scratch.check()
})

/** A worker with its guard and one agent, all of them running. */
async function startWorker(launch: AgentLaunch, tier: (typeof TIER_NAMES)[number]) {
  const options = JSON.stringify({ recordDir, tiers: [tier] })
  const child = spawn(process.execPath, [WORKER, JSON.stringify([launch]), options], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { TEST_DIR: scratch.dir },
  })
  children.push(child)
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
  await printed(launch, '"type":"result"')
  const guardPid = Number(/"guard":(\d+)/.exec(said)?.[1])
  return { child, guard: identityOf(guardPid) }
}

/** A process that somebody else needs. */
function startBystander() {
  const child = spawn('/bin/sleep', ['600'], { cwd: scratch.dir, stdio: 'ignore', detached: true })
  children.push(child)
  return identityOf(child.pid ?? 0)
}

describe('guards that an earlier pod left', () => {
  it.each(possible)('are ended with their agents when their worker is dead (%s)', async (tier) => {
    const launch = launchOfFake(scratch.dir, 'a-1', { daemons: ['plain', 'setsid', 'double_fork'] })
    const { child, guard } = await startWorker(launch, tier)
    process.kill(guard.pid, 'SIGSTOP')
    child.kill('SIGKILL')
    await until(() => child.signalCode === 'SIGKILL')
    expect(isLive(guard)).toBe(true)
    expect(await endLeftGuards(recordDir)).toBeGreaterThanOrEqual(1)
    await until(async () => (await scratch.processes()).length === 0, {
      timeoutMs: 2000,
      message: 'all is gone',
    })
    expect(readdirSync(recordDir)).toEqual([])
    expect(readdirSync(launch.dir)).not.toContain('processes.json')
    expect(await endLeftGuards(recordDir)).toBe(0)
  })

  it('are left alone while their worker lives', async () => {
    const guard = await startGuard({ heartbeatMs: 1000, recordDir })
    const agent = await guard.start(launchOfShell(scratch.dir, 'a-1', 'sleep 600'))
    expect(await endLeftGuards(recordDir)).toBe(0)
    expect(readdirSync(recordDir)).toHaveLength(1)
    expect(isLive(agent)).toBe(true)
    await guard.stop()
    expect(readdirSync(recordDir)).toEqual([])
  })

  it('are left alone when they are of another container or boot, and forgotten after a month', async () => {
    const bystander = startBystander()
    mkdirSync(recordDir)
    const file = join(recordDir, '7.7.json')
    const contents = {
      place: 'elsewhere',
      guard: bystander,
      worker: { pid: 2 ** 30, startTime: 1 },
      agent_dirs: [],
    }
    writeFileSync(file, JSON.stringify(contents))
    writeFileSync(join(recordDir, '8.8.json'), '{"place":')
    expect(await endLeftGuards(recordDir)).toBe(0)
    expect(isLive(bystander)).toBe(true)
    expect(readdirSync(recordDir)).toHaveLength(2)
    const old = Date.now() / 1000 - 31 * 24 * 3600
    utimesSync(file, old, old)
    await endLeftGuards(recordDir)
    expect(readdirSync(recordDir)).toEqual(['8.8.json'])
  })

  it('are none where nothing was ever recorded', async () => {
    expect(await endLeftGuards(join(scratch.dir, 'nowhere'))).toBe(0)
  })

  it('name the directories of their agents before these run', () => {
    const record = keepGuardRecord(recordDir, process.pid)
    record.add('/data/a-1')
    const [name = ''] = readdirSync(recordDir)
    expect(JSON.parse(readFileSync(join(recordDir, name), 'utf8'))).toMatchObject({
      guard: identityOf(process.pid),
      worker: identityOf(process.pid),
      agent_dirs: ['/data/a-1'],
    })
    record.drop()
    expect(readdirSync(recordDir)).toEqual([])
  })

  it('keep an agent from starting when they cannot be put on record', async () => {
    writeFileSync(recordDir, 'no directory')
    await expect(startGuard({ heartbeatMs: 1000, recordDir })).rejects.toThrow(/record .* cannot be written/)
  })
})

describe('a pid that is used again, F37', () => {
  const earlier = ({ pid, startTime }: { pid: number; startTime: number }) => ({
    pid,
    startTime: startTime - 1,
  })

  it('is not hit by what a pid namespace left on record', async () => {
    const bystander = startBystander()
    const { dir } = launchOf(scratch.dir, 'a-1')
    keepTarget(dir, { tier: 'pid_namespace', wrapper: earlier(bystander), init: earlier(bystander) })
    expect(await sweepLeftovers(dir)).toBe(0)
    expect(isLive(bystander)).toBe(true)
    expect(readdirSync(dir)).not.toContain('processes.json')
    // The same with the right start is hit: what is on record is what is ended.
    keepTarget(dir, { tier: 'pid_namespace', wrapper: bystander, init: bystander })
    await sweepLeftovers(dir)
    expect(isLive(bystander)).toBe(false)
  })

  it('is not hit by what a process group left on record, as leader or as session', async () => {
    const leader = startBystander()
    expect(readProcess(leader.pid)).toMatchObject({ session: leader.pid })
    const { dir } = launchOf(scratch.dir, 'a-1')
    keepTarget(dir, { tier: 'group', mark: 'a-1.used-once', session: earlier(leader) })
    expect(await sweepLeftovers(dir)).toBe(0)
    expect(isLive(leader)).toBe(true)
  })

  it('is not hit as that of a guard', async () => {
    const bystander = startBystander()
    const record = keepGuardRecord(recordDir, bystander.pid)
    const [name = ''] = readdirSync(recordDir)
    const contents = JSON.parse(readFileSync(join(recordDir, name), 'utf8')) as object
    const dead = { worker: { pid: 2 ** 30, startTime: 1 }, guard: earlier(bystander) }
    writeFileSync(join(recordDir, name), JSON.stringify({ ...contents, ...dead }))
    expect(await endLeftGuards(recordDir)).toBe(0)
    expect(isLive(bystander)).toBe(true)
    record.drop()
  })
})

import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { startGuard, type Guard } from '../../src/guard/client.ts'
import { inMs, launchOfFake, launchOfShell, printed, spoolOf } from '../support/guarded.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { until } from '../support/until.ts'

const SWAPPED_STARTS = 60

let scratch: Scratch
let guard: Guard

beforeEach(async () => {
  scratch = await createScratch()
  guard = await startGuard({ heartbeatMs: 1000 })
})
afterEach(async () => {
  await guard.stop()
  await scratch.check()
})

describe('the kill ladder', () => {
  it('asks with SIGTERM first', async () => {
    const launch = launchOfFake(scratch.dir, 'a-1', {})
    const agent = await guard.start(launch)
    await printed(launch, '"type":"result"')
    agent.kill(30_000)
    expect(await agent.exited).toEqual({
      code: 143,
      signal: null,
      endedBy: 'kill',
      processesKilled: 1,
      killedGracefully: true,
    })
  })

  it('does not wait longer than the grace', async () => {
    const launch = launchOfFake(scratch.dir, 'a-1', { ignore_term: true })
    const agent = await guard.start(launch)
    await printed(launch, '"type":"result"')
    const asked = systemClock.monotonic()
    agent.kill(400)
    expect(await agent.exited).toMatchObject({
      code: null,
      signal: 'SIGKILL',
      endedBy: 'kill',
      killedGracefully: false,
    })
    expect(systemClock.monotonic() - asked).toBeGreaterThanOrEqual(400)
  })

  it('is shortened by a second call', async () => {
    const launch = launchOfFake(scratch.dir, 'a-1', { ignore_term: true })
    const agent = await guard.start(launch)
    await printed(launch, '"type":"result"')
    agent.kill(600_000)
    agent.kill(0)
    expect(await agent.exited).toMatchObject({ signal: 'SIGKILL', endedBy: 'kill', killedGracefully: false })
  })

  it('reaches a stopped process', async () => {
    const launch = launchOfFake(scratch.dir, 'a-1', { stop_self: true })
    const agent = await guard.start(launch)
    await until(() => readFileSync(`/proc/${agent.pid}/stat`, 'utf8').includes(') T '))
    agent.kill(30_000)
    expect(await agent.exited).toMatchObject({ code: 143, killedGracefully: true })
  })

  it('changes nothing for an agent that has ended', async () => {
    const agent = await guard.start(launchOfShell(scratch.dir, 'a-1', 'exit 7'))
    await agent.exited
    agent.kill(0)
    expect(await agent.exited).toMatchObject({ code: 7, endedBy: null })
  })
})

describe('the deadline', () => {
  it('kills everything at once when it passes', async () => {
    const deadline = inMs(2000)
    const launch = launchOfFake(
      scratch.dir,
      'a-1',
      { ignore_term: true, daemons: ['plain', 'setsid'] },
      { deadline },
    )
    const agent = await guard.start(launch)
    const exit = await agent.exited
    expect(exit).toMatchObject({ signal: 'SIGKILL', endedBy: 'deadline', killedGracefully: false })
    expect(systemClock.monotonic()).toBeGreaterThanOrEqual(deadline)
  })

  it('moves with every extension, and no further', async () => {
    const agent = await guard.start(launchOfShell(scratch.dir, 'a-1', 'sleep 600', { deadline: inMs(2000) }))
    let last = 0
    for (let n = 0; n < 3; n++) {
      last = inMs(2000)
      expect(await agent.extend(last)).toBe(true)
    }
    expect(agent.acknowledged).toBe(last)
    expect(await agent.exited).toMatchObject({ endedBy: 'deadline' })
    expect(systemClock.monotonic()).toBeGreaterThanOrEqual(last)
  })

  it('may be moved to now', async () => {
    const agent = await guard.start(launchOfShell(scratch.dir, 'a-1', 'sleep 600'))
    await agent.extend(systemClock.monotonic())
    expect(await agent.exited).toMatchObject({ endedBy: 'deadline' })
  })

  it('comes before a long grace', async () => {
    const launch = launchOfFake(scratch.dir, 'a-1', { ignore_term: true })
    const agent = await guard.start(launch)
    await printed(launch, '"type":"result"')
    await agent.extend(inMs(500))
    agent.kill(600_000)
    expect(await agent.exited).toMatchObject({ signal: 'SIGKILL', endedBy: 'kill', killedGracefully: false })
  })
})

it('ends what forks while it is being killed', async () => {
  const forking = 'n=0; while [ $n -lt 300 ]; do sleep 600 & n=$((n+1)); done; echo forked; wait'
  const launch = launchOfShell(scratch.dir, 'a-1', forking)
  const agent = await guard.start(launch)
  await until(() => readFileSync(`/proc/${agent.pid}/stat`, 'utf8') !== '')
  agent.kill(0)
  await agent.exited
  expect(await scratch.processes()).toEqual([])
})

it('keeps what an agent printed before it was killed', async () => {
  const launch = launchOfFake(scratch.dir, 'a-1', { lines: 3, half_line: true, silence_ms: 600_000 })
  const agent = await guard.start(launch)
  await printed(launch, '"type":"te')
  agent.kill(0)
  await agent.exited
  expect(spoolOf(launch).split('\n')).toHaveLength(5)
  expect(readdirSync(launch.dir).toSorted()).toEqual(['stderr.log', 'stdout.ndjson'])
})

describe('the working directory', () => {
  it('is the one that was asked for, also while the path is swapped for a link again and again', async () => {
    const [inside, outside] = [join(scratch.dir, 'ws'), join(scratch.dir, 'ws-evil')]
    mkdirSync(inside)
    mkdirSync(outside)
    const swaps = `const { renameSync, symlinkSync, unlinkSync } = require('node:fs')
      const [inside, outside] = process.argv.slice(1)
      const rest = new Int32Array(new SharedArrayBuffer(4))
      for (let n = 1; ; n++) {
        // Now and then the directory stays long enough for a start to succeed.
        if (n % 50 === 0) Atomics.wait(rest, 0, 0, 50)
        renameSync(inside, inside + '-aside')
        symlinkSync(outside, inside)
        unlinkSync(inside)
        renameSync(inside + '-aside', inside)
      }`
    const swapper = execa(process.execPath, ['-e', swaps, inside, outside], { reject: false })
    const places: string[] = []
    const refused: number[] = []
    // How many are refused depends on the machine: it goes on until both have been seen.
    for (let n = 0; n < SWAPPED_STARTS || refused.length === 0 || places.length === 0; n++) {
      const launch = { ...launchOfShell(scratch.dir, `a-${n}`, 'pwd -P'), cwd: inside }
      const agent = await guard.start(launch).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'spawn_failed' })
        refused.push(n)
        return null
      })
      await agent?.exited
      if (agent !== null) places.push(spoolOf(launch).trim())
      else expect(existsSync(join(launch.dir, 'stdout.ndjson')) ? spoolOf(launch) : '').toBe('')
    }
    swapper.kill('SIGKILL')
    await swapper
    // Moved aside while it runs, it is the same directory.
    const others = places.filter((place) => place !== inside && place !== `${inside}-aside`)
    expect(others).toEqual([])
  }, 30_000)
})

import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { identityOf, isRunning } from '../../src/setup/identity.ts'
import { type RedisBinary, startRedisProcess } from '../../src/setup/redis-process.ts'
import { findRedisServer } from '../../src/setup/redis-server.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { until } from '../support/until.ts'

let scratch: Scratch
let binary: RedisBinary
const settings = { save: '', appendonly: 'no' }
beforeEach(async () => {
  scratch = await createScratch()
  const toolsDir = join(import.meta.dirname, '../../data/tools')
  binary = await findRedisServer({ toolsDir, searchPath: process.env['PATH'] ?? '', say: () => undefined })
})
afterEach(() => scratch.check())

it('answers on loopback, with the settings it was given, and is gone after stop', async () => {
  const server = await startRedisProcess({
    binary,
    dir: scratch.dir,
    settings: { ...settings, maxclients: '77' },
  })
  const redis = new Redis(server.url)
  expect(await redis.config('GET', 'maxclients')).toEqual(['maxclients', '77'])
  expect(await redis.config('GET', 'bind')).toEqual(['bind', '127.0.0.1'])
  expect(await redis.config('GET', 'protected-mode')).toEqual(['protected-mode', 'yes'])
  redis.disconnect()
  await Promise.all([server.stop(), server.stop()])
  await server.stop()
  await server.exited
  expect(await identityOf(server.pid)).toBeNull()
})

it('is in a process group of its own: the terminal cannot interrupt it', async () => {
  const server = await startRedisProcess({ binary, dir: scratch.dir, settings })
  const stat = await readFile(`/proc/${server.pid}/stat`, 'utf8')
  const group = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2])
  expect(group).toBe(server.pid)
  await server.stop()
})

it('ends a server that no longer listens to anybody', async () => {
  const server = await startRedisProcess({ binary, dir: scratch.dir, settings })
  process.kill(server.pid, 'SIGSTOP')
  await server.stop()
  expect(await identityOf(server.pid)).toBeNull()
})

it('tells when the server dies by itself', async () => {
  const server = await startRedisProcess({ binary, dir: scratch.dir, settings })
  const identity = await identityOf(server.pid)
  process.kill(server.pid, 'SIGKILL')
  await server.exited
  expect(identity !== null && (await isRunning(identity))).toBe(false)
  await server.stop()
})

it('says the last lines of a server that dies at start', async () => {
  const starting = startRedisProcess({
    binary,
    dir: scratch.dir,
    settings: { ...settings, maxmemory: 'plenty' },
  })
  await expect(starting).rejects.toMatchObject({
    code: 'setup_failed',
    message: expect.stringMatching(/did not start: .*plenty.*REDIS_URL/s),
  })
})

it('says what is wrong with a program that cannot be run', async () => {
  const starting = startRedisProcess({ binary: { ...binary, file: '/no/redis' }, dir: scratch.dir, settings })
  await expect(starting).rejects.toMatchObject({
    code: 'setup_failed',
    message: expect.stringContaining('/no/redis'),
  })
})

it('does not take another Redis on the wanted port for its own', async () => {
  const first = await startRedisProcess({ binary, dir: scratch.dir, settings })
  const dir = join(scratch.dir, 'second')
  await mkdir(dir)
  const second = startRedisProcess({ binary, dir, settings, port: first.port })
  await expect(second).rejects.toMatchObject({
    code: 'setup_failed',
    message: expect.stringMatching(/address already in use/i),
  })
  await first.stop()
})

it.runIf(process.platform === 'linux')('does not outlive a parent that is killed', async () => {
  const module = JSON.stringify(join(import.meta.dirname, '../../src/setup/redis-process.ts'))
  const script = `import { startRedisProcess } from ${module}
    const server = await startRedisProcess(${JSON.stringify({ binary, dir: scratch.dir, settings })})
    console.log(server.pid)
    process.kill(process.pid, 'SIGKILL')`
  const parent = await execa(process.execPath, ['--input-type=module-typescript', '--eval', script], {
    reject: false,
    env: scratch.env,
  })
  const pid = Number(parent.stdout)
  expect(pid).toBeGreaterThan(1)
  await until(async () => (await identityOf(pid)) === null, { message: 'the server to die with its parent' })
})

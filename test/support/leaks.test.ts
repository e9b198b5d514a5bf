/** The helpers that other tests rely on must themselves be able to fail. */
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { execa } from 'execa'
import { describe, expect, it } from 'vitest'
import { createScratch } from './leaks.ts'
import { until } from './until.ts'

const gone = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}

describe.runIf(process.platform === 'linux')('createScratch', () => {
  it('passes when nothing was left', async () => {
    const scratch = await createScratch()
    await execa('true', { env: scratch.env, cwd: scratch.dir })
    await expect(scratch.check()).resolves.toBeUndefined()
  })

  it('waits for a process that is about to end', async () => {
    const scratch = await createScratch()
    const child = execa('sleep', ['0.3'], { env: scratch.env })
    expect(await scratch.processes()).toHaveLength(1)
    await scratch.check()
    await child
  })

  it.each([
    ['in its environment', (dir: string) => execa('sleep', ['60'], { env: { TMPDIR: dir }, reject: false })],
    ['by its working directory', (dir: string) => execa('sleep', ['60'], { cwd: dir, reject: false })],
    [
      'by an argument',
      (dir: string) => execa('tail', ['-f', '/dev/null', join(dir, 'x')], { reject: false }),
    ],
  ])('names and ends a process that belongs to it %s', async (_case, start) => {
    const scratch = await createScratch({ settleMs: 300 })
    const child = start(scratch.dir)
    await expect(scratch.check()).rejects.toThrow(new RegExp(`process ${child.pid} .*(sleep|tail)`))
    await child
    expect(gone(child.pid ?? 0)).toBe(true)
  })

  it('names a port that this process still listens on', async () => {
    const scratch = await createScratch({ settleMs: 300 })
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : null
    await expect(scratch.check()).rejects.toThrow(`listening port ${port}`)
    server.close()
  })

  it('names a temporary file', async () => {
    const scratch = await createScratch({ settleMs: 300 })
    await writeFile(join(scratch.env.TMPDIR, 'left.txt'), '')
    await expect(scratch.check()).rejects.toThrow('temporary file left.txt')
  })
})

describe('until', () => {
  it('gives the value, also of a promise, once there is one', async () => {
    let count = 0
    expect(await until(() => (++count > 2 ? 'here' : null))).toBe('here')
    expect(await until(() => Promise.resolve(7))).toBe(7)
  })

  it('fails with what was waited for and the last error', async () => {
    const waiting = until(
      () => {
        throw new Error('not yet')
      },
      { timeoutMs: 50, message: () => 'the end of the world' },
    )
    await expect(waiting).rejects.toMatchObject({
      message: expect.stringContaining('the end of the world'),
      cause: expect.objectContaining({ message: 'not yet' }),
    })
  })
})

import { existsSync, lstatSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { newSessionId } from '../../src/core/ids.ts'
import { createSessionDirectory, removeSessionDirectory } from '../../src/session/directory.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'

let scratch: Scratch
let sessionId: string

beforeEach(async () => {
  scratch = await createScratch()
  sessionId = newSessionId()
})
afterEach(async () => {
  await removeSessionDirectory(scratch.dir, sessionId)
  await scratch.check()
})

describe("a session's directory", () => {
  it('is made for its user alone, and may be made again', async () => {
    const directory = createSessionDirectory(scratch.dir, sessionId)
    await directory.create()
    await directory.create()
    expect(directory.path).toBe(join(scratch.dir, 'sessions', sessionId))
    for (const path of [directory.path, directory.configDir, directory.home, directory.tmpDir]) {
      expect(statSync(path).mode & 0o777).toBe(0o700)
    }
  })

  it('has a directory for each agent', async () => {
    const directory = createSessionDirectory(scratch.dir, sessionId)
    expect(await directory.agents()).toEqual([])
    const first = await directory.createAgent('doc-keeper-haiku-20251026-001')
    const second = await directory.createAgent('doc-keeper-haiku-20251026-002')
    expect(statSync(first).mode & 0o777).toBe(0o700)
    expect(new Set(await directory.agents())).toEqual(new Set([first, second]))
  })

  it.each(['near', 'x'.repeat(100)])('is removed with everything in it, also twice: %s', async (name) => {
    const dataDir = join(scratch.dir, name)
    const directory = createSessionDirectory(dataDir, sessionId)
    await directory.create()
    const agent = await directory.createAgent('a-1')
    writeFileSync(join(agent, 'stdout.ndjson'), 'x')
    writeFileSync(join(directory.tmpDir, 'left'), 'x')
    await removeSessionDirectory(dataDir, sessionId)
    await removeSessionDirectory(dataDir, sessionId)
    expect(existsSync(directory.path)).toBe(false)
    expect(existsSync(directory.tmpDir)).toBe(false)
  })

  it('has a temporary directory that is short enough for sockets, and its own', () => {
    const near = createSessionDirectory('/srv/somewhere/data', sessionId).tmpDir
    expect(near).toMatch(/^\/srv\/somewhere\/data\/tmp\/[0-9a-f]{12}$/)
    const long = join(scratch.dir, 'x'.repeat(200))
    const { tmpDir } = createSessionDirectory(long, sessionId)
    // The CLI adds `/cc-socks/<pid>.sock` and takes 103 bytes.
    expect(Buffer.byteLength(tmpDir)).toBeLessThanOrEqual(80)
    expect(tmpDir).toBe(createSessionDirectory(long, sessionId).tmpDir)
    expect(tmpDir).not.toBe(createSessionDirectory(scratch.dir, sessionId).tmpDir)
    expect(tmpDir).not.toBe(createSessionDirectory(long, newSessionId()).tmpDir)
  })

  it('does not use a temporary directory that somebody else put there', async () => {
    const directory = createSessionDirectory(scratch.dir, sessionId)
    mkdirSync(dirname(directory.tmpDir), { recursive: true })
    const elsewhere = join(scratch.dir, 'elsewhere')
    mkdirSync(elsewhere)
    symlinkSync(elsewhere, directory.tmpDir)
    await expect(directory.create()).rejects.toThrow(/EEXIST/)
    expect(lstatSync(directory.tmpDir).isSymbolicLink()).toBe(true)
    rmSync(directory.tmpDir)
    mkdirSync(directory.tmpDir, { mode: 0o755 })
    await directory.create()
    expect(statSync(directory.tmpDir).mode & 0o777).toBe(0o700)
  })

  it.each(['../../etc', '', 'a', `${'0'.repeat(8)}/..`, '..'])('is not made for %j', async (id) => {
    expect(() => createSessionDirectory(scratch.dir, id)).toThrow(/is no session id/)
    await expect(removeSessionDirectory(scratch.dir, id)).rejects.toThrow(/is no session id/)
    await expect(createSessionDirectory(scratch.dir, sessionId).createAgent(`${id}/x`)).rejects.toThrow(
      /is no agent id/,
    )
  })
})

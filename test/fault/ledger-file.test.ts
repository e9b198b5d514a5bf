/**
 * F17–F19: the ledger locked, on a full disk, replaced, damaged. Nothing is lost, a named alarm stands meanwhile, and
 * recording goes on by itself as soon as it can. A real board over a real Redis.
 */
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { newId } from '../../src/core/ids.ts'
import { backup } from '../../src/ledger/backup.ts'
import { restore } from '../../src/ledger/restore.ts'
import { openBoard, type TestBoard } from '../board/open-board.ts'
import { createTempDir } from '../ledger/temp-ledger.ts'
import { scriptedSession } from '../recorder/scripted-session.ts'
import { until } from '../support/until.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const server = await redisOfFile()
let temp: ReturnType<typeof createTempDir>
let dataDir: string
let file: string
let board: TestBoard | null = null
beforeEach(() => {
  temp = createTempDir()
  dataDir = join(temp.dir, 'data')
  file = join(dataDir, 'orchestrator.db')
})
afterEach(async () => {
  await board?.stop()
  board = null
  temp.remove()
})

async function start(namespace?: string): Promise<TestBoard> {
  board = await openBoard(server.url, { dataDir, ...(namespace === undefined ? {} : { namespace }) })
  await until(() => board?.board.recording === true)
  return board
}

async function stop(): Promise<void> {
  await board?.stop()
  board = null
}

let sessions = 0
const agentOf = (number: number) => ({ agentId: `architect-20261120-${number}`, epoch: number })

/** A session of so many lines on the stream; answers its id. */
async function publish({ redis, keys }: TestBoard, lines = 1, text = 'x'): Promise<string> {
  sessions += 1
  const agent = agentOf(sessions)
  const session = scriptedSession(newId()).accepted().spawned(agent).started(agent)
  for (let line = 0; line < lines; line++)
    session.line(agent, 'claude.assistant', { type: 'assistant', text })
  session.exited(agent).closed(agent).ended()
  const pipeline = redis.pipeline()
  for (const event of session.events) pipeline.xadd(keys.events, '*', 'event', event)
  await pipeline.exec()
  return session.sessionId
}

/** How many events of the session are in the file. */
function recorded(sessionId: string, path = file): number {
  const db = new Database(path, { readonly: true })
  try {
    return Number(
      db
        .prepare<[string], number>('SELECT count(*) FROM session_event WHERE session_id = ?')
        .pluck()
        .get(sessionId),
    )
  } finally {
    db.close()
  }
}

const isRecorded = (sessionId: string, lines = 1): Promise<unknown> =>
  until(() => recorded(sessionId) === lines + 6, {
    timeoutMs: 20_000,
    message: `${sessionId} to be recorded`,
  })

async function alarms(at: TestBoard): Promise<readonly string[]> {
  const { body } = await at.get('/readyz')
  return body.alarms.map(({ name }: { name: string }) => name)
}

const stands = (at: TestBoard, name: string): Promise<unknown> =>
  until(async () => (await alarms(at)).includes(name), { timeoutMs: 20_000, message: `the alarm ${name}` })

async function isOver(at: TestBoard, name: string): Promise<void> {
  await until(async () => !(await alarms(at)).includes(name), { timeoutMs: 20_000 })
  expect(at.log.filter((line) => line['alarm'] === name).map(({ level }) => level)).toContain('error')
}

/** Whether an immutable file refuses also who has it open already: not on every file system. */
function stopsOpenWriters(probe: string): boolean {
  const open = openSync(probe, 'w')
  try {
    if (!attempt('chattr', '+i', probe)) return false
    writeSync(open, 'x')
    return false
  } catch {
    return true
  } finally {
    attempt('chattr', '-i', probe)
    closeSync(open)
    rmSync(probe)
  }
}

async function refusal(namespace?: string): Promise<string> {
  try {
    await start(namespace)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  throw new Error('the board started')
}

/**
 * The longest wait between two attempts is 5 s: after one of those, five minutes are only more of them. With
 * DROVER_TEST_LONG=1 it is five minutes all the same.
 */
const LOCKED_MS = process.env['DROVER_TEST_LONG'] === '1' ? 300_000 : 5500

describe('F17 the file is locked', () => {
  it(
    'waits as long as it takes, answers readers all the while, and goes on',
    { timeout: LOCKED_MS + 60_000 },
    async () => {
      const at = await start()
      const before = await publish(at)
      await isRecorded(before)
      const other = new Database(file)
      other.exec('BEGIN IMMEDIATE')
      const during = await publish(at)
      await stands(at, 'ledger_locked')
      const { body } = await at.get('/readyz')
      const since = Date.parse(body.alarms[0].since)
      const answers = new Set<number>()
      const isLong = async (): Promise<boolean> => {
        answers.add((await at.get(`/api/v1/sessions/${before}`)).status)
        return Date.now() - since > LOCKED_MS
      }
      await until(isLong, { timeoutMs: LOCKED_MS + 10_000 })
      expect([...answers]).toEqual([200])
      expect(recorded(during)).toBe(0)
      expect(await alarms(at)).toEqual(['ledger_locked'])
      other.exec('ROLLBACK')
      other.close()
      await isRecorded(during)
      await isOver(at, 'ledger_locked')
    },
  )

  it('keeps the journal bounded once a long reader is gone', async () => {
    const at = await start()
    const reader = new Database(file, { readonly: true })
    reader.exec('BEGIN')
    reader.prepare('SELECT count(*) FROM session_event').get()
    const big = 'x'.repeat(20_000)
    for (let n = 0; n < 4; n++) await isRecorded(await publish(at, 200, big), 200)
    const grown = statSync(`${file}-wal`).size
    expect(grown).toBeGreaterThan(12e6)
    reader.exec('ROLLBACK')
    reader.close()
    for (let n = 0; n < 4; n++) await isRecorded(await publish(at, 200, big), 200)
    // It begins at its front again; without that it would have doubled.
    expect(statSync(`${file}-wal`).size).toBeLessThan(grown * 1.5)
  })
})

describe('F18 the disk is full', () => {
  it('says so, loses nothing, and goes on when there is room', async ({ skip }) => {
    mkdirSync(dataDir)
    const mounted = attempt('mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', dataDir)
    skip(!mounted, 'a file system cannot be mounted here')
    try {
      const at = await start()
      await isRecorded(await publish(at))
      fill(join(dataDir, 'filler'))
      const during = await publish(at, 20, 'y'.repeat(20_000))
      await stands(at, 'ledger_disk_full')
      expect(recorded(during)).toBe(0)
      unlinkSync(join(dataDir, 'filler'))
      await isRecorded(during, 20)
      await isOver(at, 'ledger_disk_full')
      expect(attempt('sqlite3', file, 'PRAGMA integrity_check')).toBe(true)
      await stop()
    } finally {
      await stop()
      attempt('umount', dataDir)
    }
  })
})

describe('F19 the file is replaced while it is in use', () => {
  it.each([
    ['a directory', () => mkdirSync(file)],
    ['another ledger', () => writeFileSync(file, readFileSync(`${file}.away`))],
  ])('by %s: nothing is written until it is back', async (_, replace) => {
    const at = await start()
    await isRecorded(await publish(at))
    renameSync(file, `${file}.away`)
    replace()
    const during = await publish(at)
    await stands(at, 'ledger_replaced')
    expect((await at.get('/readyz')).body.alarms[0].message).toMatch(/was replaced by .* while it was in use/)
    rmSync(file, { recursive: true, force: true })
    renameSync(`${file}.away`, file)
    await isRecorded(during)
    await isOver(at, 'ledger_replaced')
  })
})

describe('F19 the file is damaged', () => {
  async function recordedLedger(): Promise<{ namespace: string; id: string }> {
    const at = await start()
    const id = await publish(at, 200, 'z'.repeat(500))
    await isRecorded(id, 200)
    const { namespace } = at
    await stop()
    return { namespace, id }
  }

  it.each([
    ['garbage in the header', () => overwrite(0, 100)],
    ['garbage in the schema page', () => overwrite(100, 2000)],
    ['garbage in the pages', () => overwrite(8192, 40_000)],
    ['a cut file', () => truncateSync(file, 20_000)],
  ])('%s: refused with what to do, and left as it is', async (_, damage) => {
    await recordedLedger()
    const good = backup(file)
    damage()
    const before = readFileSync(file)
    const said = await refusal()
    expect(said).toContain(file)
    expect(said).toContain(`drover ledger restore ${good.file}`)
    expect(readFileSync(file).equals(before)).toBe(true)
  })

  it('garbage in the journal of a recorder that was killed: the stream has it again', async () => {
    const { namespace } = await recordedLedger()
    const at = await start(namespace)
    const id = await publish(at)
    await isRecorded(id)
    // As it is when the process is killed now: the file, and a journal that was not carried over.
    const copy = join(temp.dir, 'killed')
    mkdirSync(copy)
    for (const part of ['', '-wal'])
      writeFileSync(join(copy, `orchestrator.db${part}`), readFileSync(`${file}${part}`))
    await stop()
    dataDir = copy
    file = join(copy, 'orchestrator.db')
    const wal = readFileSync(`${file}-wal`)
    wal.fill(0xaa, 32 + 24, 32 + 24 + 500)
    writeFileSync(`${file}-wal`, wal)
    await start(namespace)
    await isRecorded(id)
    expect(attempt('sqlite3', file, 'PRAGMA integrity_check')).toBe(true)
  })

  it('cannot be opened for writing: refused with what to do', async ({ skip }) => {
    const { namespace } = await recordedLedger()
    skip(!attempt('chattr', '+i', file), 'this file system has no immutable files')
    try {
      expect(await refusal(namespace)).toMatch(/cannot be opened .* Give this user read and write access/)
    } finally {
      attempt('chattr', '-i', file)
    }
  })
})

test('the right to write is taken away while it is in use: a named alarm, and it goes on', async ({
  skip,
}) => {
  const at = await start()
  await isRecorded(await publish(at))
  skip(!stopsOpenWriters(join(temp.dir, 'probe')), 'here an open file stays writable')
  let during: string
  try {
    expect(attempt('chattr', '+i', `${file}-wal`)).toBe(true)
    during = await publish(at)
    await stands(at, 'ledger_failed')
    expect(recorded(during)).toBe(0)
  } finally {
    attempt('chattr', '-i', `${file}-wal`)
  }
  await isRecorded(during)
  await isOver(at, 'ledger_failed')
})

describe('a restore', () => {
  it('is refused while a board uses the ledger; then the stream gives back what it still holds', async () => {
    const at = await start()
    const { keys, namespace } = at
    const early = await publish(at)
    await isRecorded(early)
    const { file: copy, position } = backup(file)
    const [lost, kept] = [await publish(at), await publish(at)]
    await isRecorded(kept)
    expect(() => restore({ path: file, from: copy, streamKey: keys.events })).toThrow(
      /in use by a running board/,
    )
    expect(recorded(kept)).toBe(7)
    // The stream was trimmed in the middle of a session.
    const entries = await at.redis.xrange(keys.events, `(${position}`, '+')
    await at.redis.xtrim(keys.events, 'MINID', entries[4]?.[0] ?? '')
    await stop()

    expect(() => restore({ path: file, from: copy, streamKey: '{drover:other}:events' })).toThrow(
      /DROVER_NAMESPACE/,
    )
    const done = restore({ path: file, from: copy, streamKey: keys.events })
    expect(done.aside.every((path) => existsSync(path))).toBe(true)
    expect(recorded(kept, done.aside[0])).toBe(7)
    expect([recorded(early), recorded(lost), recorded(kept)]).toEqual([7, 0, 0])

    const again = await start(namespace)
    await isRecorded(kept)
    await until(() => recorded(lost) === 3)
    const { body } = await again.get(`/api/v1/sessions/${lost}`)
    expect(body.session.incomplete).toBe(true)
    expect(JSON.stringify(body)).toContain('not_on_stream')
  })

  it('that was interrupted keeps a board from starting, and can be run again', async () => {
    const at = await start()
    const { keys, namespace } = at
    const id = await publish(at)
    await isRecorded(id)
    const { file: copy } = backup(file)
    await stop()
    // Killed after the files went aside.
    writeFileSync(`${file}.restoring`, readFileSync(copy))
    renameSync(file, `${file}.replaced`)
    expect(await refusal()).toMatch(/restore of the ledger .* was interrupted/)
    expect(existsSync(file)).toBe(false)
    restore({ path: file, from: `${file}.restoring`, streamKey: keys.events })
    await start(namespace)
    expect(recorded(id)).toBe(7)
  })
})

/** Runs a program; false where it is missing or fails. */
function attempt(program: string, ...args: readonly string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

function fill(path: string): void {
  const chunk = Buffer.alloc(64 * 1024, 1)
  try {
    for (;;) writeFileSync(path, chunk, { flag: 'a' })
  } catch {
    // Full.
  }
}

function overwrite(from: number, length: number): void {
  const bytes = readFileSync(file)
  bytes.fill(0xa5, from, Math.min(bytes.length, from + length))
  writeFileSync(file, bytes)
}

import { execFileSync } from 'node:child_process'
import { appendFile, mkdir, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { newSessionId } from '../../src/core/ids.ts'
import { createRedactor } from '../../src/core/redact.ts'
import type { Packed } from '../../src/session/transcript-archive.ts'
import { configDirOf, openTranscript, type Transcript } from '../../src/session/transcript.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'

const SLUG = '-srv-work'
let scratch: Scratch
let sessionId: string
let here: string
let there: string

beforeEach(async () => {
  scratch = await createScratch()
  sessionId = newSessionId()
  here = join(scratch.dir, 'here')
  there = join(scratch.dir, 'there')
})
afterEach(() => scratch.check())

async function put(name: string, content: string | Buffer, dir = here): Promise<void> {
  await mkdir(dirname(join(dir, name)), { recursive: true })
  await writeFile(join(dir, name), content)
}
const main = (slug = SLUG): string => `projects/${slug}/${sessionId}.jsonl`
const side = (name: string): string => `projects/${SLUG}/${sessionId}/${name}`

async function packed(transcript: Transcript): Promise<Packed & { readonly archive: Buffer }> {
  const found = await transcript.pack()
  if (found?.archive == null) throw new Error('there is nothing to unpack')
  return { ...found, archive: found.archive }
}

/** All files below a directory, by name. */
async function filesOf(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1))
    .toSorted()
}

/** An archive that packing would never make. */
async function archiveOf(...files: [name: string, content: string][]): Promise<Buffer> {
  const parts = files.map(
    ([name, content]) => `${JSON.stringify({ name, bytes: Buffer.byteLength(content) })}\n${content}`,
  )
  return await promisify(gzip)(parts.join(''))
}

describe('a conversation', () => {
  it('travels with its side files, and with nothing else of the directory', async () => {
    await put(main(), '{"a":1}\n{"b":"\u00e9"}\n{"torn')
    await put(side('subagents/agent-a1.jsonl'), 'sub\n')
    await put(side('tool-results/x.txt'), Buffer.from([0, 255, 10, 13]))
    await put(`tasks/${sessionId}/1.json`, '{}')
    await put(`tasks/${sessionId}/.lock`, '')
    await put('.claude.json', 'a secret')
    await put(`projects/${SLUG}/${newSessionId()}.jsonl`, "somebody else's")
    const { archive, mark } = await packed(openTranscript(here, sessionId))

    const arrived = openTranscript(there, sessionId)
    expect(await arrived.stamp()).toBeNull()
    await arrived.unpack(archive)
    expect(await filesOf(there)).toEqual(
      [
        main(),
        side('subagents/agent-a1.jsonl'),
        side('tool-results/x.txt'),
        `tasks/${sessionId}/1.json`,
      ].toSorted(),
    )
    for (const name of await filesOf(there)) {
      expect(await readFile(join(there, name))).toEqual(await readFile(join(here, name)))
    }
    expect(await arrived.holds(mark)).toBe(true)
  })

  it('takes the place of an older one, also under another slug, and leaves other sessions alone', async () => {
    const other = newSessionId()
    await put(main(), 'one\ntwo\n')
    await put(main('-old'), 'one\n', there)
    await put(`projects/-old/${sessionId}/subagents/gone.jsonl`, 'x', there)
    await put(`tasks/${sessionId}/9.json`, '{}', there)
    await put(`projects/-old/${other}.jsonl`, 'theirs', there)
    const { archive } = await packed(openTranscript(here, sessionId))
    await openTranscript(there, sessionId).unpack(archive)
    await openTranscript(there, sessionId).unpack(archive)
    expect(await filesOf(there)).toEqual([`projects/-old/${other}.jsonl`, main()].toSorted())
    expect(await readFile(join(there, main()), 'utf8')).toBe('one\ntwo\n')
  })

  it('is not there where there are no files, or no directory', async () => {
    const transcript = openTranscript(join(scratch.dir, 'nowhere'), sessionId)
    expect(await transcript.stamp()).toBeNull()
    expect(await transcript.pack()).toBeNull()
    expect(await transcript.holds({ bytes: 0, sha256: '' })).toBe(false)
  })

  it('has another stamp when a file of it changes, and only then', async () => {
    await put(main(), 'one\n')
    const transcript = openTranscript(here, sessionId)
    const first = await transcript.stamp()
    await put('.claude.json', 'x')
    expect(await transcript.stamp()).toBe(first)
    await appendFile(join(here, main()), 'two\n')
    const second = await transcript.stamp()
    expect(second).not.toBe(first)
    await put(side('tool-results/y.txt'), 'y')
    expect(await transcript.stamp()).not.toBe(second)
  })

  it('holds what it has grown from, and not what has gone another way', async () => {
    await put(main(), 'one\ntwo')
    const transcript = openTranscript(here, sessionId)
    const { mark } = await packed(transcript)
    await appendFile(join(here, main()), ' and more\n')
    expect(await transcript.holds(mark)).toBe(true)
    await writeFile(join(here, main()), 'one\nTWO and more\n')
    expect(await transcript.holds(mark)).toBe(false)
    await truncate(join(here, main()), 4)
    expect(await transcript.holds(mark)).toBe(false)
  })

  it('travels without the secrets, is held where it came from and where it arrived, and grows there', async () => {
    const redactor = createRedactor({ secrets: [{ name: 'KEY', value: 'key-0123456789' }], known: false })
    await put(main(), '{"a":"key-0123456789"}\n')
    await put(side('tool-results/x.txt'), 'it is key-0123456789')
    const { archive, mark } = await packed(openTranscript(here, sessionId, { redactor: () => redactor }))
    await openTranscript(there, sessionId).unpack(archive)
    expect(await readFile(join(there, main()), 'utf8')).toBe('{"a":"[redacted:KEY]"}\n')
    expect(await readFile(join(there, side('tool-results/x.txt')), 'utf8')).toBe('it is [redacted:KEY]')
    await appendFile(join(there, main()), '{"more":1}\n')
    expect(await openTranscript(here, sessionId).holds(mark)).toBe(true)
    expect(await openTranscript(there, sessionId).holds(mark)).toBe(true)
  })

  it('cannot travel when it is over a limit, packed or not, but says how it begins', async () => {
    const noise = Buffer.from(Array.from({ length: 5000 }, () => Math.floor(Math.random() * 256)))
    await put(main(), 'x'.repeat(5000))
    const raw = await openTranscript(here, sessionId, { packed: 1000, raw: 4000 }).pack()
    expect(raw).toMatchObject({ archive: null, mark: { bytes: 4000 } })
    await put(side('tool-results/noise.bin'), noise)
    const limits = { packed: 1000, raw: 1_000_000 }
    const large = await openTranscript(here, sessionId, limits).pack()
    expect(large).toMatchObject({ archive: null, mark: { bytes: 5000 } })
    expect(await openTranscript(here, sessionId).holds(large?.mark ?? { bytes: 0, sha256: '' })).toBe(true)
    expect((await openTranscript(here, sessionId).pack())?.archive).not.toBeNull()
  })
})

describe('what an agent may have left in its directory', () => {
  it('is not followed, waited for or taken: links, pipes, odd names', async () => {
    await put('secret.txt', 'secret', scratch.dir)
    await put(main(), 'one\n')
    await put(side('good.txt'), 'good')
    await symlink(join(scratch.dir, 'secret.txt'), join(here, side('link.txt')))
    await symlink(scratch.dir, join(here, side('linked')))
    execFileSync('mkfifo', [join(here, side('pipe'))])
    await put(side('with space.txt'), 'x')
    await put(side('line\nfeed'), 'x')
    const { archive } = await packed(openTranscript(here, sessionId))
    await openTranscript(there, sessionId).unpack(archive)
    expect(await filesOf(there)).toEqual([main(), side('good.txt')].toSorted())
  })

  it('is no conversation where the conversation is a link, itself or its directory', async () => {
    await put('elsewhere.jsonl', 'x', scratch.dir)
    await mkdir(join(here, 'projects', SLUG), { recursive: true })
    await symlink(join(scratch.dir, 'elsewhere.jsonl'), join(here, main()))
    expect(await openTranscript(here, sessionId).pack()).toBeNull()
    await rm(join(here, 'projects', SLUG), { recursive: true })
    await put(`${sessionId}.jsonl`, 'x', join(scratch.dir, 'dir'))
    await symlink(join(scratch.dir, 'dir'), join(here, 'projects', SLUG))
    expect(await openTranscript(here, sessionId).pack()).toBeNull()
  })

  it('is written to through no link', async () => {
    await put(main(), 'one\n')
    const { archive } = await packed(openTranscript(here, sessionId))
    const target = join(scratch.dir, 'target')
    await mkdir(target)
    await mkdir(join(there, 'projects'), { recursive: true })
    await symlink(target, join(there, 'projects', SLUG))
    await expect(openTranscript(there, sessionId).unpack(archive)).rejects.toThrow(/no directory of its own/)
    expect(await readdir(target)).toEqual([])
  })
})

describe('an archive that packing would not make', () => {
  it.each([
    '../../etc/passwd',
    '/etc/passwd',
    'projects/-a/../../x',
    'projects/-a/SESSION/../../../x',
    'projects/-a/SESSION/.hidden',
    'projects/-a/SESSION/',
    'projects/-a/SESSION/a\u0000b',
    'projects/.a/SESSION.jsonl',
    'projects/-a/other.jsonl',
    'projects/-b/SESSION/x',
    'tasks/other/1.json',
    'tasks/SESSION',
    '.claude.json',
    'settings.json',
  ])('is refused, and nothing is written: %j', async (pattern) => {
    const name = pattern.replace('SESSION', sessionId)
    const archive = await archiveOf([`projects/-a/${sessionId}.jsonl`, 'one\n'], [name, 'x'])
    await expect(openTranscript(there, sessionId).unpack(archive)).rejects.toMatchObject({
      code: 'internal_error',
    })
    expect(await filesOf(scratch.dir)).toEqual([])
  })

  it('is refused where it is damaged, empty, of another session, or grows beyond all bounds', async () => {
    await put(main(), 'one\n')
    const { archive } = await packed(openTranscript(here, sessionId))
    const bomb = await promisify(gzip)(Buffer.alloc(20_000_000))
    const broken: Buffer[] = [
      Buffer.alloc(0),
      Buffer.from('no archive'),
      archive.subarray(0, archive.length - 4),
      await promisify(gzip)('{"name":"x"'),
      await promisify(gzip)('{"name":"x","bytes":-1}\n'),
      await archiveOf([`tasks/${sessionId}/1.json`, '{}']),
      await archiveOf([main('-a'), 'one\n'], [main('-b'), 'two\n']),
      bomb,
    ]
    const transcript = openTranscript(there, sessionId, { packed: 1000, raw: 1000 })
    for (const each of broken) await expect(transcript.unpack(each)).rejects.toThrow(/transcript/)
    await expect(openTranscript(there, newSessionId()).unpack(archive)).rejects.toThrow(/it holds/)
    expect(await filesOf(scratch.dir)).toEqual([join('here', main())])
  })

  it('is not for what is no session', () => {
    expect(() => openTranscript(there, '../x')).toThrow(/no session id/)
  })
})

it('is looked for where the CLI looks', () => {
  expect(configDirOf({ CLAUDE_CONFIG_DIR: '/c', HOME: '/h' })).toBe('/c')
  expect(configDirOf({ HOME: '/h' })).toBe('/h/.claude')
  expect(configDirOf({})).toBeNull()
})

import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { newSessionId } from '../../src/core/ids.ts'
import type { AgentRef, SessionRecord } from '../../src/queue/session-store.ts'
import { createTranscripts, type Transcripts } from '../../src/queue/transcripts.ts'
import { openTranscript } from '../../src/session/transcript.ts'
import { beginConversation, type Begun } from '../../src/worker/conversation.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { acceptance, openNamespace, type TestNamespace } from '../support/namespace.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const server = await redisOfFile()
let space: TestNamespace
let scratch: Scratch
let transcripts: Transcripts
let sessionId: string
let errors: unknown[]
beforeEach(async () => {
  space = await openNamespace(server.url)
  scratch = await createScratch()
  transcripts = createTranscripts(space.redis, space.keys)
  sessionId = newSessionId()
  errors = []
  await space.store.accept(acceptance(sessionId))
})
afterEach(async () => {
  space.close()
  await scratch.check()
})

const configOf = (machine: string): string => join(scratch.dir, machine)
const fileOf = (machine: string): string => join(configOf(machine), 'projects/-w', `${sessionId}.jsonl`)

async function wrote(machine: string, text: string): Promise<void> {
  await mkdir(dirname(fileOf(machine)), { recursive: true })
  await appendFile(fileOf(machine), text)
}

/** What the agent of a machine has copied to Redis so far. */
async function copied(machine: string): Promise<void> {
  const packed = await openTranscript(configOf(machine), sessionId).pack()
  if (packed === null) throw new Error('nothing to copy')
  const agent: AgentRef = { sessionId, agentType: 'architect', agentId: 'a', epoch: '0' }
  const put = await transcripts.put(agent, { podId: machine, ...packed })
  if (!put.ok) throw new Error(put.refused)
}

async function record(members: Partial<SessionRecord> = {}): Promise<SessionRecord> {
  const read = await space.store.read(sessionId)
  if (read === null) throw new Error('the session is gone')
  return {
    ...read,
    agentId: 'architect-20260101-001',
    startedAt: '2026-01-01T00:00:01.000Z',
    ...members,
  }
}

async function begin(machine: string, members: Partial<SessionRecord> = {}, fresh = false): Promise<Begun> {
  const parts = { transcripts, onError: (error: unknown) => errors.push(error) }
  const open = (id: string): ReturnType<typeof openTranscript> => openTranscript(configOf(machine), id)
  return await beginConversation(parts, await record(members), open, fresh)
}

describe('the files of this machine and what Redis has', () => {
  const resumed = { kind: 'here', conversation: 'resumed' }

  it('are the same: they stay', async () => {
    await wrote('one', '1\n')
    await copied('one')
    expect(await begin('one')).toEqual(resumed)
    expect(await readFile(fileOf('one'), 'utf8')).toBe('1\n')
  })

  it('are longer by what was not copied: they stay', async () => {
    await wrote('one', '1\n')
    await copied('one')
    await wrote('one', '2\n')
    expect(await begin('one')).toEqual(resumed)
    expect(await readFile(fileOf('one'), 'utf8')).toBe('1\n2\n')
  })

  it('are not there, or older: Redis has the conversation', async () => {
    await wrote('one', '1\n')
    await copied('one')
    expect(await begin('two')).toEqual(resumed)
    await wrote('two', '2\n')
    await copied('two')
    expect(await begin('one')).toEqual(resumed)
    expect(await readFile(fileOf('one'), 'utf8')).toBe('1\n2\n')
  })

  it('are longer, but others went on from what was copied: Redis has the conversation', async () => {
    await wrote('one', '1\n')
    await copied('one')
    await begin('two')
    // The first one was cut off: what it wrote then nobody knows.
    await wrote('one', 'a very long line that was never copied\n')
    await wrote('two', '2\n')
    await copied('two')
    expect(await begin('one')).toEqual(resumed)
    expect(await readFile(fileOf('one'), 'utf8')).toBe('1\n2\n')
  })

  it('are longer, and a later agent elsewhere wrote nothing: they stay', async () => {
    await wrote('one', '1\n')
    await copied('one')
    await wrote('one', '2\n')
    await begin('two')
    expect(await begin('one')).toEqual(resumed)
    expect(await readFile(fileOf('one'), 'utf8')).toBe('1\n2\n')
  })

  it('are both not there: the CLI is to say so, and then it is lost', async () => {
    expect(await begin('one')).toEqual(resumed)
    expect(await begin('one', {}, true)).toEqual({ kind: 'here', conversation: 'lost' })
  })

  it('are both not there, since no agent came to a word: it begins', async () => {
    expect(await begin('b', { startedAt: null })).toEqual({ kind: 'here', conversation: 'new' })
  })

  it('cannot be used as Redis has them: said, and left as they are', async () => {
    await wrote('one', '1\n')
    await copied('one')
    await space.redis.hset(space.keys.transcript(sessionId), 'piece:1', 'damaged')
    expect(await begin('two')).toEqual(resumed)
    expect(String(errors[0])).toContain('cannot be decompressed')
    expect(await openTranscript(configOf('two'), sessionId).stamp()).toBeNull()
  })

  it('are too large for Redis: only the machine that has them can go on', async () => {
    await wrote('one', '1\n')
    const packed = await openTranscript(configOf('one'), sessionId, { packed: 1, raw: 1e6 }).pack()
    if (packed === null) throw new Error('nothing to copy')
    const agent: AgentRef = { sessionId, agentType: 'architect', agentId: 'a', epoch: '0' }
    await transcripts.put(agent, { podId: 'one', ...packed })
    expect(await begin('one')).toEqual(resumed)
    expect(await begin('two')).toMatchObject({
      kind: 'elsewhere',
      problem: expect.stringContaining('on pod one') as string,
    })
  })
})

describe('the first agent', () => {
  it('begins a new conversation', async () => {
    expect(await begin('one', { agentId: null })).toEqual({ kind: 'here', conversation: 'new' })
  })

  it('of a restart goes on with a copy of what the ended session left, or is told that it is lost', async () => {
    const restart = { agentId: null, restartOf: sessionId, sessionId: newSessionId() }
    expect(await begin('one', restart)).toEqual({ kind: 'here', conversation: 'lost' })
    await wrote('one', '1\n')
    await copied('one')
    expect(await begin('two', restart)).toEqual({ kind: 'here', conversation: 'forked' })
    expect(await readFile(fileOf('two'), 'utf8')).toBe('1\n')
    // Also where the agent of the new session died before it had a conversation of its own.
    const again = { ...restart, agentId: 'architect-20260101-002' }
    expect(await begin('two', again, true)).toEqual({ kind: 'here', conversation: 'forked' })
  })
})

it('does not write to a directory that is no directory', async () => {
  await wrote('one', '1\n')
  await copied('one')
  await writeFile(configOf('two'), 'a file')
  await expect(begin('two')).rejects.toThrow(/ENOTDIR|EEXIST/)
})

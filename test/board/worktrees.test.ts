import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { WorktreeView } from '../../src/core/worktree-view.ts'
import { openHouse, type PodHouse } from '../support/pod.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { initRepository, type TestRepository } from '../support/repository.ts'
import { until } from '../support/until.ts'
import { openBoard, type Answered, type TestBoard } from './open-board.ts'

let server: TestRedis
let house: PodHouse
let board: TestBoard
let repository: TestRepository
let count = 0
beforeAll(async () => {
  server = await startRedis()
  house = await openHouse({ redisUrl: server.url })
  board = await openBoard(server.url, { namespace: house.keys.namespace, seeded: false })
  await house.startPod()
})
afterAll(async () => {
  await board.stop()
  await house.close()
  await server.stop()
})
beforeEach(() => {
  count += 1
  repository = initRepository(join(house.workspace, `shop-${count}`), {
    'README.md': 'first\n',
    'other.md': 'other\n',
  })
})

const at = (name: string): string => join(repository.dir, name)
const read = (name: string): string => readFileSync(at(name), 'utf8')
const state = (): string =>
  [
    repository.git('for-each-ref', '--format=%(refname) %(objectname)'),
    repository.git('status', '--porcelain'),
    repository.git('rev-parse', 'HEAD'),
  ].join('\n')

/** A session that ended and left these files; answers its worktree as it is listed. */
async function left(files: Readonly<Record<string, string>>): Promise<WorktreeView> {
  const sessionId = await house.spawn(
    { write_files: files },
    { worktree: true, workspaceDir: repository.dir },
  )
  await house.producer.result(sessionId)
  return await until(
    async () => (await worktrees()).find((one) => one.session_id === sessionId && one.state === 'kept'),
    {
      message: 'it is listed as kept',
    },
  )
}

async function worktrees(): Promise<WorktreeView[]> {
  const { body } = await board.get('/api/v1/worktrees')
  return (body.worktrees as WorktreeView[]).filter(({ workspace_dir }) => workspace_dir === repository.dir)
}

const merge = (id: string): Promise<Answered> => board.post(`/api/v1/worktrees/${id}/merge`, {})
const clean = (body: object): Promise<Answered> => board.post('/api/v1/worktrees/clean', body)

test('lists what is in it, shows the diff, merges it with what is not committed, and cleans it', async () => {
  const view = await left({ 'README.md': 'second\n', 'new.txt': 'new\n' })
  expect(view).toMatchObject({ changed: 2, ahead: 0, base_branch: 'main', session_status: 'completed' })
  expect(view.changed_files).toEqual(['README.md', 'new.txt'])

  const before = state()
  const { body: shown } = await board.get(`/api/v1/worktrees/${view.session_id}/diff`)
  expect(shown.diff).toMatch(/-first\n\+second/)
  expect(shown.diff).toMatch(/new file mode[^]*\+new/)
  expect(state()).toBe(before)

  expect((await clean({ id: view.session_id })).body).toMatchObject({ error: 'worktree_refused', changed: 2 })
  const merged = await merge(view.session_id)
  expect(merged.body).toMatchObject({ success: true, merged: true, committed_files: 2, base_branch: 'main' })
  expect(read('README.md')).toBe('second\n')
  expect(read('new.txt')).toBe('new\n')
  expect(repository.git('status', '--porcelain')).toBe('')
  expect((await merge(view.session_id)).body).toMatchObject({ success: true, merged: false })

  // Whoever dies before the branch is moved leaves the files of the merge, staged: a repeat moves it.
  repository.git('update-ref', 'refs/heads/main', 'main~1')
  expect(repository.git('status', '--porcelain')).toBe('M  README.md\nA  new.txt\n')
  writeFileSync(at('README.md'), 'and changed since\n')
  expect((await merge(view.session_id)).body.error).toBe('worktree_refused')
  writeFileSync(at('README.md'), 'second\n')
  expect((await merge(view.session_id)).body).toMatchObject({ success: true, merged: true })
  expect(repository.git('status', '--porcelain')).toBe('')

  const { body: cleaned } = await clean({})
  expect(cleaned.removed).toMatchObject([{ session_id: view.session_id }])
  expect(await worktrees()).toEqual([])
  expect(existsSync(view.path)).toBe(false)
  expect(repository.git('branch', '--list', 'drover/*')).toBe('')
  expect((await merge(view.session_id)).body.error).toBe('worktree_not_found')

  const db = new Database(join(board.dataDir, 'orchestrator.db'), { readonly: true })
  const actions = db
    .prepare(
      `SELECT action, actor_via FROM actions WHERE session_id = ? AND action LIKE '%worktree' ORDER BY at`,
    )
    .all(view.session_id)
  db.close()
  expect(actions).toEqual([
    { action: 'merge_worktree', actor_via: 'http' },
    { action: 'merge_worktree', actor_via: 'http' },
    { action: 'merge_worktree', actor_via: 'http' },
    { action: 'clean_worktree', actor_via: 'http' },
  ])
})

test('merges beside what the branch has got since; also where no checkout is on it', async () => {
  const view = await left({ 'README.md': 'second\n' })
  repository.commit({ 'other.md': 'changed\n' })
  repository.git('checkout', '--quiet', '-b', 'elsewhere')
  expect((await merge(view.session_id)).body).toMatchObject({ success: true, merged: true })
  expect(repository.git('branch', '--show-current').trim()).toBe('elsewhere')
  expect(read('README.md')).toBe('first\n')
  expect(repository.git('show', 'main:README.md', 'main:other.md')).toBe('second\nchanged\n')
  expect(repository.git('rev-list', '--merges', '--count', 'main').trim()).toBe('1')
})

test('a conflict is told with its files and changes nothing', async () => {
  const view = await left({ 'README.md': 'theirs\n' })
  repository.commit({ 'README.md': 'ours\n' })
  const before = state()
  const { status, body } = await merge(view.session_id)
  expect({ status, body }).toMatchObject({
    status: 409,
    body: { error: 'merge_conflict', session_id: view.session_id, files: ['README.md'] },
  })
  expect(state()).toBe(before)
  expect(readFileSync(join(view.path, 'README.md'), 'utf8')).toBe('theirs\n')
})

test('refuses what would lose or overwrite something: a dirty checkout, a file that git does not know', async () => {
  const view = await left({ 'new.txt': 'theirs\n' })
  writeFileSync(at('README.md'), 'not committed\n')
  const before = state()
  expect((await merge(view.session_id)).body).toMatchObject({
    error: 'worktree_refused',
    message: expect.stringContaining('uncommitted changes'),
  })
  expect(state()).toBe(before)
  repository.git('checkout', '--quiet', '.')
  writeFileSync(at('new.txt'), 'ours\n')
  expect((await merge(view.session_id)).body.error).toBe('worktree_refused')
  expect(read('new.txt')).toBe('ours\n')
  expect(repository.git('rev-list', '--count', 'main').trim()).toBe('1')
  const { body } = await clean({ id: view.session_id, force: true })
  expect(body.removed).toHaveLength(1)
  expect(await worktrees()).toEqual([])
})

test('a session that runs keeps its worktree; names that nobody knows are not found', async () => {
  const sessionId = await house.spawn(
    { silence_ms: 60_000 },
    { worktree: true, workspaceDir: repository.dir },
  )
  await until(async () => (await worktrees()).length === 1, { message: 'it is listed' })
  expect(await worktrees()).toMatchObject([{ state: 'active', session_id: sessionId }])
  expect((await merge(sessionId)).body.error).toBe('worktree_refused')
  expect((await clean({ id: sessionId, force: true })).body.error).toBe('worktree_refused')
  await house.producer.kill(sessionId)
  await until(async () => (await worktrees()).length === 0, { message: 'it is gone' })
  expect((await board.get('/api/v1/worktrees/nobody/diff')).status).toBe(404)
  expect((await clean({ force: true })).status).toBe(400)
})

/** A pod that dies at any step of making or removing a worktree, and who may have one: with a real git. */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { newSessionId } from '../../../src/core/ids.ts'
import { createGit } from '../../../src/session/worktree/git.ts'
import { readRecord, replaceRecord, type WorktreeRecord } from '../../../src/session/worktree/record.ts'
import { createWorktrees, type Owner, type Worktrees } from '../../../src/session/worktree/worktrees.ts'
import { createScratch, type Scratch } from '../../support/leaks.ts'
import { initRepository, type TestRepository } from '../../support/repository.ts'

let scratch: Scratch
let repository: TestRepository
let worktrees: Worktrees
const ended = new Set<string>()
beforeEach(async () => {
  scratch = await createScratch()
  repository = initRepository(join(scratch.dir, 'shop'))
  worktrees = podAt('data')
  ended.clear()
})
afterEach(() => scratch.check())

function podAt(
  dataDir: string,
  more: { readonly PATH?: string; readonly namespace?: string } = {},
): Worktrees {
  return createWorktrees({
    git: createGit({ PATH: more.PATH ?? process.env.PATH, HOME: scratch.dir }),
    dataDir: join(scratch.dir, dataDir),
    roots: [scratch.dir],
    podId: dataDir,
    host: 'here',
    namespace: more.namespace ?? 'default',
    lock: (_name, work) => work(),
    lifeOf: async (id) => (ended.has(id) ? 'ended' : 'live'),
  })
}

function owner(more: Partial<Owner> = {}): Owner {
  const sessionId = newSessionId()
  return { sessionId, agentType: 'architect', taskId: null, ancestors: [], hasBegun: false, ...more }
}

async function open(who: Owner, at = worktrees): Promise<WorktreeRecord> {
  return await at.open(await at.repositoryOf(repository.dir), who)
}

async function settle(who: Owner): Promise<void> {
  ended.add(who.sessionId)
  const problems: unknown[] = []
  await worktrees.settleAll({
    isMeant: () => true,
    onSettled: (_sessionId, problem) => void (problem === null || problems.push(problem)),
    onError: (problem) => void problems.push(problem),
  })
  if (problems.length > 0) throw problems[0]
}

const left = (): object => ({
  branches: repository.git('branch', '--list', 'drover/*').trim(),
  checkouts: repository.git('worktree', 'list').trim().split('\n').length,
  records: existsSync(join(repository.dir, '.git/drover'))
    ? readdirSync(join(repository.dir, '.git/drover'))
    : [],
  places: existsSync(join(scratch.dir, 'data/worktrees'))
    ? readdirSync(join(scratch.dir, 'data/worktrees')).filter((name) => name !== '.gitignore')
    : [],
})
const NOTHING = { branches: '', checkouts: 1, records: [], places: [] }

/** What a pod that died had done, from a worktree that is whole. */
const DEATHS: readonly (readonly [string, (record: WorktreeRecord) => Promise<void>])[] = [
  [
    'after the record',
    async (record) => {
      repository.git('worktree', 'remove', '--force', record.path)
      repository.git('branch', '--quiet', '-D', record.branch)
    },
  ],
  ['after the branch', async (record) => void repository.git('worktree', 'remove', '--force', record.path)],
  [
    'before the files of the checkout',
    async (record) => {
      rmSync(join(record.path, 'README.md'))
      rmSync(
        repository
          .git('-C', record.path, 'rev-parse', '--path-format=absolute', '--git-path', 'index')
          .trim(),
      )
    },
  ],
  ['in the middle of the checkout', async (record) => rmSync(join(record.path, 'README.md'))],
  ['with a checkout that git does not know', async (record) => rmSync(join(record.path, '.git'))],
  ['after the checkout', async () => {}],
]

describe.each(['making', 'removing'] as const)('a pod that died while %s', (state) => {
  test.each(DEATHS)('%s', async (_name, die) => {
    for (const next of ['settled', state === 'making' ? 'made anew by another pod' : 'made anew']) {
      const who = owner()
      const record = await open(who)
      await die(record)
      await replaceRecord(join(repository.dir, '.git'), { ...record, state })
      if (next !== 'settled') {
        const again = await open(who, next === 'made anew' ? worktrees : podAt('other'))
        expect(again).toMatchObject({ state: 'made', workspace_id: record.workspace_id })
        expect(existsSync(join(again.path, 'README.md'))).toBe(true)
        ended.add(who.sessionId)
        await worktrees.settle(repository.dir, who.sessionId)
      }
      await settle(who)
      expect(left()).toEqual(NOTHING)
    }
  })
})

test('work is kept, and found by the next run of the task and by a restart, not by others', async () => {
  const first = owner({ taskId: 'TASK-1' })
  const { path } = await open(first)
  writeFileSync(join(path, 'new.txt'), 'new')
  await expect(open(owner({ taskId: 'TASK-1' }))).rejects.toThrow(
    /belongs to the session .* Two sessions never share/,
  )
  await settle(first)
  expect(await readRecord(join(repository.dir, '.git'), 'TASK-1')).toMatchObject({ state: 'kept' })

  const second = owner({ taskId: 'TASK-1' })
  expect(await open(second)).toMatchObject({ path, session_id: second.sessionId, state: 'made' })
  await settle(second)
  const third = owner({ taskId: null, ancestors: [second.sessionId] })
  expect(await open(third)).toMatchObject({ path, branch: 'drover/TASK-1' })
  await settle(third)
  const stranger = podAt('data', { namespace: 'another' })
  await expect(open(owner({ taskId: 'TASK-1' }), stranger)).rejects.toThrow(/namespace default/)
  expect(existsSync(join(path, 'new.txt'))).toBe(true)
})

test('commits are kept, those of the base branch and of a checkout on no branch among them told apart', async () => {
  const merged = owner()
  const at = await open(merged)
  writeFileSync(join(at.path, 'new.txt'), 'new')
  const commit = (): void => {
    repository.git('-C', at.path, 'add', '--all')
    repository.git('-C', at.path, 'commit', '--quiet', '--message', 'New')
  }
  repository.git('-C', at.path, 'checkout', '--quiet', '--detach')
  commit()
  await settle(merged)
  expect(await readRecord(join(repository.dir, '.git'), at.key)).toMatchObject({ state: 'kept' })

  const other = owner()
  const clean = await open(other)
  repository.git('-C', clean.path, 'commit', '--quiet', '--allow-empty', '--message', 'Empty')
  repository.git('merge', '--quiet', clean.branch)
  await settle(other)
  expect(await readRecord(join(repository.dir, '.git'), clean.key)).toBeNull()
})

test('a branch of somebody else, a link out of the roots and a missing git are refused, and nothing is left', async () => {
  repository.git('branch', 'drover/TASK-2')
  await expect(open(owner({ taskId: 'TASK-2' }))).rejects.toThrow(/drover\/TASK-2 exists already/)
  repository.git('branch', '--quiet', '-D', 'drover/TASK-2')
  await expect(open(owner(), podAt('data', { PATH: '/nonexistent' }))).rejects.toThrow(
    /no git on the search path/,
  )
  expect(left()).toEqual(NOTHING)
  const sub = join(scratch.dir, 'shop/sub')
  initRepository(sub)
  rmSync(join(sub, '.git'), { recursive: true })
  writeFileSync(join(sub, '.git'), `gitdir: ${join(dirname(process.cwd()), 'nowhere')}\n`)
  await expect(worktrees.repositoryOf(sub)).rejects.toThrow(/no git repository that can be used/)
})

test('an id of a task that git takes for no branch: the session names it', async () => {
  const who = owner({ taskId: 'a..b' })
  expect((await open(who)).branch).toBe(`drover/${who.sessionId}`)
})

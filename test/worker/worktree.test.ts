import { chmodSync, existsSync, readdirSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { readWitness } from '../support/fake-claude.ts'
import { openHouse, type PodHouse } from '../support/pod.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { initRepository, type TestRepository } from '../support/repository.ts'
import { until } from '../support/until.ts'

let server: TestRedis
let house: PodHouse
let repository: TestRepository
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.stop())
beforeEach(async () => {
  house = await openHouse({ redisUrl: server.url })
  repository = initRepository(house.workspace)
})
afterEach(() => house.close())

interface Spawned {
  readonly cwd: string
  readonly worktree_path: string
  readonly worktree_branch: string
}

async function spawnedOf(sessionId: string): Promise<Spawned[]> {
  const events = await house.events(sessionId)
  return events.filter(({ type }) => type === 'drover.agent.spawned').map(({ payload }) => payload as Spawned)
}

const branches = (): string[] =>
  repository
    .git('branch', '--list', 'drover/*', '--format=%(refname:short)')
    .split('\n')
    .filter((name) => name !== '')
const records = (): string[] => {
  const dir = join(repository.dir, '.git/drover')
  return existsSync(dir) ? readdirSync(dir) : []
}
const places = (): string[] => {
  const dir = join(house.dataDir, 'worktrees')
  return existsSync(dir) ? readdirSync(dir).filter((name) => !name.startsWith('.')) : []
}
const nothingLeft = (): void => {
  expect({ branches: branches(), records: records(), places: places() }).toEqual({
    branches: [],
    records: [],
    places: [],
  })
}
/** Its end is on the stream just before its worktree is settled. */
const settled = (): Promise<unknown> =>
  until(() => places().length === 0, { message: 'the worktree is gone' })

test('a session works in a worktree of its own; one that leaves nothing leaves no worktree', async () => {
  await house.startPod()
  const sessionId = await house.spawn({}, { worktree: true })
  const [agent] = await spawnedOf(sessionId)
  expect(agent?.worktree_branch).toBe(`drover/${sessionId}`)
  expect(agent?.cwd).toBe(agent?.worktree_path)
  expect(agent?.worktree_path.startsWith(join(house.dataDir, 'worktrees'))).toBe(true)
  await settled()
  nothingLeft()
  expect(repository.git('status', '--porcelain')).toBe('')
  expect(repository.git('worktree', 'list').trim().split('\n')).toHaveLength(1)
})

test('what a session leaves is kept, whatever its end; a later attempt finds it', async () => {
  await house.startPod()
  const ids = await Promise.all([
    house.spawn({ write_files: { 'new.txt': 'new' }, crash_on_attempts: [1] }, { worktree: true }),
    house.spawn(
      { write_files: { 'README.md': 'changed' }, result: 'error' },
      { worktree: true, agentType: 'code_developer', autoRestart: false },
    ),
  ])
  const [first, second] = await Promise.all(ids.map(spawnedOf))
  expect(new Set(first?.map(({ cwd }) => cwd)).size).toBe(1)
  expect(first).toHaveLength(2)
  expect(first?.[0]?.cwd).not.toBe(second?.[0]?.cwd)
  expect(existsSync(join(first?.[0]?.cwd ?? '', 'new.txt'))).toBe(true)
  expect(existsSync(join(house.workspace, 'new.txt'))).toBe(false)
  await until(() => branches().length === 2, { message: 'both are kept' })
  expect(repository.git('status', '--porcelain')).toBe('')
})

test('a restart by hand goes on in the worktree of the session that it is a restart of', async () => {
  await house.startPod()
  const first = await house.spawn(
    { write_files: { 'half.txt': 'half' }, result: 'error' },
    { worktree: true, autoRestart: false },
  )
  const [before] = await spawnedOf(first)
  const { sessionId: second } = await house.producer.restart(first, { force: true })
  const [after] = await spawnedOf(second)
  expect(after).toMatchObject({ cwd: before?.cwd, worktree_branch: `drover/${first}` })
  expect(branches()).toEqual([`drover/${first}`])
})

test('a kill removes a clean worktree', async () => {
  await house.startPod()
  const sessionId = await house.spawn({ silence_ms: 60_000 }, { worktree: true })
  await until(() => readWitness(house.witness).some(({ kind }) => kind === 'start'), { message: 'it runs' })
  expect(branches()).toHaveLength(1)
  await house.producer.kill(sessionId)
  await settled()
  nothingLeft()
})

test('what cannot be made is said, and leaves nothing: branches, dirty and other repositories', async () => {
  await house.startPod()
  const problemOf = async (workspaceDir: string): Promise<string> => {
    const sessionId = await house.spawn({}, { worktree: true, workspaceDir })
    const result = await house.producer.result(sessionId)
    expect(result).toMatchObject({ success: false, failureReason: 'invalid_config' })
    return result.message ?? ''
  }
  const at = (name: string): string => join(house.workspace, name)

  writeFileSync(at('README.md'), 'changed\n')
  expect(await problemOf(house.workspace)).toMatch(/uncommitted changes \(README\.md\)/)
  repository.git('checkout', '--quiet', '.')

  repository.git('checkout', '--quiet', '--detach')
  expect(await problemOf(house.workspace)).toMatch(/detached HEAD/)
  repository.git('checkout', '--quiet', 'main')

  initRepository(at('empty'), null)
  expect(await problemOf(at('empty'))).toMatch(/no commit yet/)
  repository.git('clone', '--quiet', '--bare', '.', 'bare.git')
  expect(await problemOf(at('bare.git'))).toMatch(/bare repository/)
  writeFileSync(join(at('empty'), 'gitdir'), '')
  expect(await problemOf(at('.git'))).toMatch(/inside a git directory/)
  for (const name of ['empty', 'bare.git']) await rm(at(name), { recursive: true })
  nothingLeft()
})

test('no hook and no filter of the repository runs', async () => {
  const hook = join(house.workspace, '.git/hooks/post-checkout')
  const witness = join(house.dataDir, 'ran')
  writeFileSync(hook, `#!/bin/sh\ntouch ${witness}\n`)
  chmodSync(hook, 0o755)
  repository.commit({ '.gitattributes': '*.md filter=x\n' })
  repository.git('config', 'filter.x.smudge', `sh -c 'touch ${witness}; cat'`)
  repository.git('config', 'filter.x.clean', `sh -c 'touch ${witness}; cat'`)
  repository.git('config', 'core.fsmonitor', `touch ${witness}`)
  await house.startPod()
  await house.events(await house.spawn({}, { worktree: true }))
  await settled()
  expect(existsSync(witness)).toBe(false)
})

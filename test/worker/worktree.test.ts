import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, readdirSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { sha256 } from '../../src/core/ids.ts'
import type { SpawnOptions } from '../../src/index.ts'
import { lockOf } from '../../src/session/worktree/worktrees.ts'
import { readWitness, type FakeScript } from '../support/fake-claude.ts'
import { openHouse, type PodHouse } from '../support/pod.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { initRepository, type TestRepository } from '../support/repository.ts'
import { until } from '../support/until.ts'

let server: TestRedis
let house: PodHouse
let repository: TestRepository
let count = 0
/** It waits while the other tests run. */
let busy: Awaited<ReturnType<typeof beginWhileBusy>>
beforeAll(async () => {
  server = await startRedis()
  house = await openHouse({ redisUrl: server.url })
  await house.startPod()
  busy = await beginWhileBusy()
})
afterAll(async () => {
  await house.close()
  await server.stop()
})
beforeEach(() => {
  count += 1
  repository = initRepository(join(house.workspace, `shop-${count}`), {
    'README.md': 'first\n',
    '.gitignore': 'ignored\n',
  })
})

const at = (name: string): string => join(repository.dir, name)
const spawn = (script: FakeScript, options: Partial<SpawnOptions> = {}): Promise<string> =>
  house.spawn(script, { worktree: true, workspaceDir: repository.dir, ...options })

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
  const dir = at('.git/drover')
  return existsSync(dir) ? readdirSync(dir) : []
}
/** Those of this test's repository. */
const places = (): string[] => {
  const dir = join(house.dataDir, 'worktrees')
  return existsSync(dir)
    ? readdirSync(dir).filter((name) => existsSync(join(dir, name, `shop-${count}`)))
    : []
}
const NOTHING = { branches: [], records: [], places: [] }
const left = (): object => ({ branches: branches(), records: records(), places: places() })
const starts = (): number => readWitness(house.witness).filter(({ kind }) => kind === 'start').length
/** One that runs until it is killed. */
async function running(): Promise<string> {
  const before = starts()
  const sessionId = await spawn({ silence_ms: 60_000 })
  await until(() => starts() > before, { message: 'it runs' })
  return sessionId
}

test('a session works in a worktree of its own; one that leaves nothing leaves no worktree when its end is told', async () => {
  const sessionId = await spawn({})
  await house.producer.result(sessionId)
  expect(left()).toEqual(NOTHING)
  const [agent] = await spawnedOf(sessionId)
  expect(agent?.worktree_branch).toBe(`drover/${sessionId}`)
  expect(agent?.cwd).toBe(agent?.worktree_path)
  expect(agent?.worktree_path.startsWith(join(house.dataDir, 'worktrees'))).toBe(true)
  expect(repository.git('status', '--porcelain')).toBe('')
  expect(repository.git('worktree', 'list').trim().split('\n')).toHaveLength(1)
})

test('what a session leaves is kept, whatever its end; a later attempt finds it', async () => {
  const ids = await Promise.all([
    spawn({ write_files: { 'new.txt': 'new' }, crash_on_attempts: [1] }),
    spawn(
      { write_files: { 'README.md': 'changed' }, result: 'error' },
      { agentType: 'code_developer', autoRestart: false },
    ),
  ])
  const [first, second] = await Promise.all(ids.map(spawnedOf))
  expect(new Set(first?.map(({ cwd }) => cwd)).size).toBe(1)
  expect(first).toHaveLength(2)
  expect(first?.[0]?.cwd).not.toBe(second?.[0]?.cwd)
  expect(existsSync(join(first?.[0]?.cwd ?? '', 'new.txt'))).toBe(true)
  expect(existsSync(at('new.txt'))).toBe(false)
  expect(branches()).toHaveLength(2)
  expect(repository.git('status', '--porcelain')).toBe('')
})

test('a restart by hand goes on in the worktree of the session that it is a restart of', async () => {
  const first = await spawn({ write_files: { 'half.txt': 'half' }, result: 'error' }, { autoRestart: false })
  const [before] = await spawnedOf(first)
  const { sessionId: second } = await house.producer.restart(first, { force: true })
  const [after] = await spawnedOf(second)
  expect(after).toMatchObject({ cwd: before?.cwd, worktree_branch: `drover/${first}` })
  expect(branches()).toEqual([`drover/${first}`])
})

test('a kill answers when a clean worktree is gone; cleanup_failed where it cannot be removed, until it can', async () => {
  const first = await running()
  expect(branches()).toHaveLength(1)
  await house.producer.kill(first)
  expect(left()).toEqual(NOTHING)

  const second = await running()
  const [place = ''] = places()
  const ignored = join(house.dataDir, 'worktrees', place, `shop-${count}`, 'ignored')
  // Its path is longer than the system takes, for root too.
  const name = 'd'.repeat(200)
  const deep = `mkdir "$0"; cd "$0"; for i in $(seq 25); do mkdir ${name}; cd -P ${name}; done`
  execFileSync('sh', ['-e', '-c', deep, ignored], { stdio: 'ignore' })
  const refused = { code: 'cleanup_failed', message: expect.stringContaining(`${place}/shop-${count}`) }
  await expect(house.producer.kill(second)).rejects.toMatchObject(refused)
  await expect(house.producer.kill(second)).rejects.toMatchObject(refused)
  expect(await house.producer.result(second)).toMatchObject({ success: false, status: 'cancelled' })
  expect(places()).toEqual([place])
  execFileSync('rm', ['-rf', ignored])
  // As anybody who rings for it: its pod looks again at once, and not with the next pass.
  await house.redis.publish(house.keys.doorbell, second)
  await until(async () => (await house.producer.kill(second).catch(() => null)) !== null, {
    message: 'it is tidied',
  })
  expect(left()).toEqual(NOTHING)
})

test('what cannot be made is said, and leaves nothing: branches, dirty and other repositories', async () => {
  const problemOf = async (workspaceDir: string): Promise<string> => {
    const result = await house.producer.result(await spawn({}, { workspaceDir }))
    expect(result).toMatchObject({ success: false, failureReason: 'invalid_config' })
    return result.message ?? ''
  }

  writeFileSync(at('README.md'), 'changed\n')
  expect(await problemOf(repository.dir)).toMatch(/uncommitted changes \(README\.md\)/)
  repository.git('checkout', '--quiet', '.')

  repository.git('checkout', '--quiet', '--detach')
  expect(await problemOf(repository.dir)).toMatch(/detached HEAD/)
  repository.git('checkout', '--quiet', 'main')

  initRepository(at('empty'), null)
  expect(await problemOf(at('empty'))).toMatch(/no commit yet/)
  repository.git('clone', '--quiet', '--bare', '.', 'bare.git')
  expect(await problemOf(at('bare.git'))).toMatch(/bare repository/)
  writeFileSync(join(at('empty'), 'gitdir'), '')
  expect(await problemOf(at('.git'))).toMatch(/inside a git directory/)
  expect(left()).toEqual(NOTHING)
})

test('no hook and no filter of the repository runs', async () => {
  const hook = at('.git/hooks/post-checkout')
  const witness = join(house.dataDir, 'ran')
  writeFileSync(hook, `#!/bin/sh\ntouch ${witness}\n`)
  chmodSync(hook, 0o755)
  repository.commit({ '.gitattributes': '*.md filter=x\n' })
  repository.git('config', 'filter.x.smudge', `sh -c 'touch ${witness}; cat'`)
  repository.git('config', 'filter.x.clean', `sh -c 'touch ${witness}; cat'`)
  repository.git('config', 'core.fsmonitor', `touch ${witness}`)
  await house.producer.result(await spawn({}))
  expect(left()).toEqual(NOTHING)
  expect(existsSync(witness)).toBe(false)
})

test('a session whose worktree somebody else is busy with for long is looked at again, and does not end', async () => {
  const claims = async (): Promise<number> =>
    (await house.redis.xrange(house.keys.events, '-', '+')).filter(
      ([, [, text = '']]) => text.includes(busy.sessionId) && text.includes('"drover.session.claimed"'),
    ).length
  await until(async () => (await claims()) > 1, { timeoutMs: 15_000 })
  await house.redis.del(busy.lock)
  expect(await house.producer.result(busy.sessionId)).toMatchObject({ success: true })
})

async function beginWhileBusy(): Promise<{ readonly sessionId: string; readonly lock: string }> {
  const { redis, keys } = house
  const { dir } = initRepository(join(house.workspace, 'busy'), { 'README.md': 'first\n' })
  // Until the lock of its worktree is taken nobody claims it.
  const lease = keys.lease('project_manager', 0)
  await redis.set(lease, 'somebody', 'PX', 60_000)
  const sessionId = await house.spawn({}, { worktree: true, agentType: 'project_manager', workspaceDir: dir })
  const lock = keys.lock(sha256(lockOf(join(realpathSync(dir), '.git'), sessionId)).slice(0, 32))
  await redis.set(lock, 'somebody', 'PX', 60_000)
  await redis.del(lease)
  return { sessionId, lock }
}

import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkWorkspace, workspaceId } from '../../src/session/workspace.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'

let scratch: Scratch
const at = (...names: string[]): string => join(scratch.dir, ...names)

beforeEach(async () => {
  scratch = await createScratch()
  for (const dir of ['root/inside/deep', 'root-beside', 'other']) mkdirSync(at(dir), { recursive: true })
})
afterEach(() => scratch.check())

const git = (dir: string, ...args: string[]): string =>
  execFileSync('git', ['-c', 'user.name=Test', '-c', 'user.email=test@example.org', ...args], {
    cwd: dir,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: process.env['PATH'], HOME: scratch.dir, GIT_CONFIG_NOSYSTEM: '1' },
  })

function repository(name: string): string {
  mkdirSync(at(name))
  git(at(name), 'init', '-q')
  git(at(name), 'commit', '-q', '--allow-empty', '-m', 'first')
  return at(name)
}

describe('a workspace', () => {
  it('is a root or lies in one, by its real path', async () => {
    expect(await checkWorkspace(at('root'), [at('root')])).toBe(at('root'))
    expect(await checkWorkspace(at('root/inside/../inside/deep/'), [at('other'), at('root')])).toBe(
      at('root/inside/deep'),
    )
    symlinkSync(at('root/inside'), at('link'))
    expect(await checkWorkspace(at('link'), [at('root')])).toBe(at('root/inside'))
    expect(await checkWorkspace(at('root/inside'), [at('link')])).toBe(at('root/inside'))
    expect(await checkWorkspace(at('other'), ['/'])).toBe(at('other'))
  })

  it('is not one outside, whatever leads there', async () => {
    symlinkSync(at('other'), at('root/way-out'))
    mkdirSync(at('..root'))
    for (const dir of ['root-beside', 'other', 'root/../other', 'root/way-out', '..root', '.']) {
      await expect(checkWorkspace(at(dir), [at('root')])).rejects.toMatchObject({
        code: 'invalid_request',
        message: expect.stringContaining('outside the allowed roots') as unknown,
      })
    }
  })

  it('in a root may have a name that begins with dots', async () => {
    mkdirSync(at('root/..odd'))
    expect(await checkWorkspace(at('root/..odd'), [at('root')])).toBe(at('root/..odd'))
  })

  it('is a directory that exists', async () => {
    writeFileSync(at('root/file'), '')
    await expect(checkWorkspace(at('root/file'), [at('root')])).rejects.toThrow(/is not a directory/)
    await expect(checkWorkspace(at('root/nothing'), [at('root')])).rejects.toThrow(/does not exist/)
    await expect(checkWorkspace(at('root\0'), [at('root')])).rejects.toThrow(/does not exist/)
    await expect(checkWorkspace(at('root'), [at('no-root'), at('other')])).rejects.toThrow(
      /outside the allowed roots/,
    )
  })
})

describe("a workspace's id", () => {
  it('stays the same, in a dot file where there is no git', async () => {
    const id = await workspaceId(at('root'))
    expect(id).toMatch(/^[0-9a-f-]{36}$/)
    expect(await workspaceId(at('root'))).toBe(id)
    expect(readdirSync(at('root'))).toContain('.drover-workspace-id')
    expect(await workspaceId(at('other'))).not.toBe(id)
  })

  it('is in the git directory, where no status and no clone sees it', async () => {
    const repo = repository('repo')
    mkdirSync(join(repo, 'sub'))
    const id = await workspaceId(repo)
    expect(await workspaceId(join(repo, 'sub'))).toBe(id)
    expect(git(repo, 'status', '--porcelain')).toBe('')
    git(scratch.dir, 'clone', '-q', repo, at('clone'))
    expect(await workspaceId(at('clone'))).not.toBe(id)
  })

  it('is its own in a linked worktree', async () => {
    const repo = repository('repo')
    git(repo, 'worktree', 'add', '-q', at('tree'))
    const [main, tree] = [await workspaceId(repo), await workspaceId(at('tree'))]
    expect(tree).not.toBe(main)
    expect(await workspaceId(at('tree'))).toBe(tree)
    expect(git(at('tree'), 'status', '--porcelain')).toBe('')
  })

  it('moves with the files', async () => {
    const repo = repository('repo')
    const id = await workspaceId(repo)
    cpSync(repo, at('moved'), { recursive: true })
    expect(await workspaceId(at('moved'))).toBe(id)
  })

  it('is one, however many ask at once', async () => {
    const ids = await Promise.all(Array.from({ length: 50 }, () => workspaceId(at('root'))))
    expect(new Set(ids).size).toBe(1)
    expect(readdirSync(at('root')).filter((name) => name.startsWith('.drover'))).toEqual([
      '.drover-workspace-id',
    ])
  })

  it('is a dot file beside a .git that leads nowhere', async () => {
    writeFileSync(at('root/.git'), 'gitdir: /nonexistent/place\n')
    const id = await workspaceId(at('root'))
    expect(readFileSync(at('root/.drover-workspace-id'), 'utf8')).toBe(`${id}\n`)
  })

  it('is refused where its file holds something else, or cannot be written', async () => {
    writeFileSync(at('root/.drover-workspace-id'), 'rubbish')
    await expect(workspaceId(at('root'))).rejects.toThrow(/should hold a workspace id/)
    await expect(workspaceId(at('nowhere'))).rejects.toThrow(/must be writable/)
    expect(existsSync(at('nowhere'))).toBe(false)
  })
})

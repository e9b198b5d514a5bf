import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { createGit } from '../../../src/session/worktree/git.ts'
import { withSnapshot } from '../../../src/session/worktree/snapshot.ts'
import { createScratch } from '../../support/leaks.ts'
import { initRepository } from '../../support/repository.ts'

test('a snapshot is the tree that git add --all makes, of every way to change a file, and changes nothing', async () => {
  const scratch = await createScratch()
  const repository = initRepository(join(scratch.dir, 'shop'), {
    '.gitignore': 'ignored\n*.log\n',
    'same.txt': 'same\n',
    'changed.txt': 'one\n',
    'deleted.txt': 'deleted\n',
    'folder/gone.txt': 'gone\n',
    'script.sh': '#!/bin/sh\n',
    'to-link': 'file\n',
    'to-folder': 'file\n',
    'to-repository': 'file\n',
    'to-file/a.txt': 'a\n',
    'to-file/b/c.txt': 'c\n',
    'folder-to-link/a.txt': 'a\n',
    'conflict.txt': 'base\n',
    'staged.txt': 'staged\n',
    'untracked.txt': 'no longer tracked\n',
    'kept.log': 'x\n',
  })
  const { dir, git } = repository
  const at = (name: string): string => join(dir, name)
  const write = (name: string, text = 'new\n'): void => {
    mkdirSync(dirname(at(name)), { recursive: true })
    writeFileSync(at(name), text)
  }
  symlinkSync('same.txt', at('link'))
  symlinkSync('same.txt', at('link-to-file'))
  const submodule = initRepository(at('submodule'))
  initRepository(at('absent'))
  git('add', '--force', '.')
  git('commit', '--quiet', '--message', 'More')
  git('checkout', '--quiet', '-b', 'other')
  repository.commit({ 'conflict.txt': 'theirs\n' })
  git('checkout', '--quiet', 'main')
  repository.commit({ 'conflict.txt': 'ours\n' })
  expect(() => git('merge', '--quiet', 'other')).toThrow(/./)

  write('changed.txt')
  write('kept.log')
  write('staged.txt', 'first\n')
  git('add', 'staged.txt')
  write('staged.txt', 'second\n')
  git('rm', '--quiet', '--cached', 'untracked.txt')
  for (const name of ['deleted.txt', 'folder', 'to-link', 'to-folder', 'to-repository', 'to-file'])
    rmSync(at(name), { recursive: true })
  for (const name of ['folder-to-link', 'link-to-file', 'absent']) rmSync(at(name), { recursive: true })
  chmodSync(at('script.sh'), 0o755)
  symlinkSync('same.txt', at('to-link'))
  symlinkSync('folder', at('folder-to-link'))
  write('link-to-file')
  write('to-folder/a/b.txt')
  write('to-file')
  write('new/deep/file.txt')
  write('new/ignored/file.txt')
  write('new.log')
  write('added.log')
  git('add', '--force', 'added.log')
  write('intended.txt')
  git('add', '--intent-to-add', 'intended.txt')
  for (const name of ['with space', 'quo"te', 'line\nbreak', 'ümlaut', '-option', ':(top)magic']) write(name)
  submodule.commit({ 'more.txt': 'more\n' })
  write('submodule/dirty.txt')
  initRepository(at('nested/repository'))
  initRepository(at('to-repository'))

  const index = join(scratch.dir, 'index')
  copyFileSync(at('.git/index'), index)
  const env = { PATH: process.env.PATH, GIT_INDEX_FILE: index }
  execFileSync('git', ['-c', 'advice.addEmbeddedRepo=false', 'add', '--all'], {
    cwd: dir,
    env,
    stdio: 'ignore',
  })
  const expected = execFileSync('git', ['ls-files', '--stage'], { cwd: dir, env, encoding: 'utf8' })

  const before = [
    readFileSync(at('.git/index'), 'base64'),
    git('status', '--porcelain'),
    git('count-objects'),
  ]
  const plain = createGit({ PATH: process.env.PATH })
  const place = { commonDir: at('.git'), path: dir, isKept: false }
  const snapshot = await withSnapshot(plain, place, async (_tree, checkout) => {
    const listed = await checkout(['ls-files', '--stage'], {
      env: { GIT_INDEX_FILE: join(checkout.dir, 'index') },
    })
    return listed.stdout
  })
  // core.quotePath is another one.
  expect(
    snapshot
      .replace('ümlaut', String.raw`"\303\274mlaut"`)
      .split('\n')
      .toSorted(),
  ).toEqual(expected.split('\n').toSorted())
  expect([
    readFileSync(at('.git/index'), 'base64'),
    git('status', '--porcelain'),
    git('count-objects'),
  ]).toEqual(before)
  await scratch.check()
})

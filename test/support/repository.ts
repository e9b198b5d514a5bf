/** A real git repository for tests. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface TestRepository {
  readonly dir: string
  git(...args: string[]): string
  /** Writes files and commits them. */
  commit(files: Readonly<Record<string, string>>, message?: string): void
}

/** Makes `dir` a repository on branch `main`; without a commit where `files` is null. */
export function initRepository(
  dir: string,
  files: Readonly<Record<string, string>> | null = { 'README.md': 'first\n' },
): TestRepository {
  const git = (...args: string[]): string =>
    execFileSync('git', args, {
      cwd: dir,
      encoding: 'utf8',
      env: {
        PATH: process.env.PATH,
        HOME: '/nonexistent',
        GIT_AUTHOR_NAME: 'Test',
        GIT_AUTHOR_EMAIL: 'test@localhost',
        GIT_COMMITTER_NAME: 'Test',
        GIT_COMMITTER_EMAIL: 'test@localhost',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  const commit: TestRepository['commit'] = (written, message = 'Change') => {
    for (const [name, text] of Object.entries(written)) {
      mkdirSync(dirname(join(dir, name)), { recursive: true })
      writeFileSync(join(dir, name), text)
    }
    git('add', '--all')
    git('commit', '--quiet', '--message', message)
  }
  mkdirSync(dir, { recursive: true })
  git('init', '--quiet', '--initial-branch=main')
  if (files !== null) commit(files, 'First')
  return { dir, git, commit }
}

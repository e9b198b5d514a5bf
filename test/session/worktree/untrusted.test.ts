/**
 * Whatever an agent writes into the configuration of a repository, nothing of it runs when Drover looks at the worktree,
 * shows it, merges it or removes it. One repository has all of it planted; each plant leaves a file when it runs, and is
 * shown to run by a git that is not Drover's.
 */
import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newSessionId } from '../../../src/core/ids.ts'
import { changesOf } from '../../../src/session/worktree/checkout.ts'
import { diffOf } from '../../../src/session/worktree/diff.ts'
import { createGit } from '../../../src/session/worktree/git.ts'
import { mergeWorktree } from '../../../src/session/worktree/merge.ts'
import { readRecord, type WorktreeRecord } from '../../../src/session/worktree/record.ts'
import { removeClean } from '../../../src/session/worktree/removal.ts'
import { createWorktrees } from '../../../src/session/worktree/worktrees.ts'
import { createScratch, type Scratch } from '../../support/leaks.ts'
import { initRepository, type TestRepository } from '../../support/repository.ts'

interface Place {
  readonly repository: TestRepository
  readonly path: string
  /** A program that leaves a file of this name, and then is as `then` says: by default it passes its input on. */
  readonly mark: (name: string, then?: 'cat' | 'exit 1') => string
}

interface Plant {
  /** Also of its mark. */
  readonly name: string
  readonly plant: (place: Place) => void
  /** Git, as anybody would call it, runs it: with these arguments, in the worktree. */
  readonly trigger: readonly string[]
}

/** The file `.gitattributes` of the repository names all of these. */
const ATTRIBUTES = ['*.a filter=own', '*.b filter=branch', '*.c filter=included', '*.d filter=tree']
  .concat(['*.e diff=text', '*.f diff=program', '*.g merge=driver', 'sub/** filter=nested'])
  .map((line) => `${line}\n`)
  .join('')

const config = (name: string): Pick<Plant, 'name' | 'plant'> => ({
  name,
  plant: ({ repository, mark }) => void repository.git('config', name, mark(name)),
})
const filter = (driver: string, { mark }: Place, file: string): void =>
  appendFileSync(file, `[filter "${driver}"]\n\tclean = ${mark(driver)}\n\tsmudge = ${mark(driver)}\n`)
const ownConfig = ({ repository }: Place): string => join(repository.dir, '.git/config')

/** A configuration that applies in worktrees alone. */
const included = (name: string, condition: string): Plant => ({
  name,
  plant(place) {
    const file = join(place.repository.dir, '.git', name)
    filter(name, place, file)
    appendFileSync(ownConfig(place), `[includeIf "${condition}"]\n\tpath = ${file}\n`)
  },
  trigger: ['add', '--all', '.'],
})

const PLANTS: readonly Plant[] = [
  { name: 'own', plant: (place) => filter('own', place, ownConfig(place)), trigger: ['add', '--all', '.'] },
  included('branch', 'onbranch:drover/**'),
  included('included', 'gitdir:**/worktrees/**'),
  {
    name: 'tree',
    plant(place) {
      place.repository.git('config', 'extensions.worktreeConfig', 'true')
      const gitDir = place.repository.git('-C', place.path, 'rev-parse', '--absolute-git-dir').trim()
      filter('tree', place, join(gitDir, 'config.worktree'))
    },
    trigger: ['add', '--all', '.'],
  },
  {
    // A repository within the worktree, with a configuration of its own, that says it is to be looked into.
    name: 'nested',
    plant(place) {
      const attributes = { '.gitattributes': '* filter=nested\n' }
      const sub = initRepository(join(place.path, 'sub'), { 'file.txt': 'one\n', ...attributes })
      filter('nested', place, join(sub.dir, '.git/config'))
      place.repository.git('-C', place.path, 'add', 'sub')
      writeFileSync(join(sub.dir, 'file.txt'), 'two\n')
      const modules = '[submodule "sub"]\n\tpath = sub\n\turl = ./sub\n\tignore = none\n'
      writeFileSync(join(place.path, '.gitmodules'), modules)
    },
    trigger: ['status'],
  },
  { ...config('core.fsmonitor'), trigger: ['status'] },
  { ...config('diff.external'), trigger: ['diff', 'HEAD^', '--', 'file.a'] },
  { ...config('diff.text.textconv'), trigger: ['diff', '--no-ext-diff', 'HEAD^', '--', 'file.e'] },
  { ...config('diff.program.command'), trigger: ['diff', 'HEAD^', '--', 'file.f'] },
  { ...config('merge.driver.driver'), trigger: ['merge-tree', '--write-tree', 'main^1', 'main^2'] },
  {
    name: 'hooks',
    plant({ repository, mark }) {
      const dir = join(repository.dir, '.git/planted')
      mkdirSync(dir)
      for (const hook of ['post-checkout', 'post-merge', 'post-index-change', 'reference-transaction'])
        symlinkSync(mark('hooks'), join(dir, hook))
      repository.git('config', 'core.hooksPath', dir)
    },
    trigger: ['update-ref', 'refs/heads/other', 'HEAD'],
  },
  {
    ...config('gpg.program'),
    plant({ repository, mark }) {
      repository.git('config', 'gpg.program', mark('gpg.program'))
      repository.git('config', 'commit.gpgSign', 'true')
      repository.git('config', 'merge.verifySignatures', 'true')
    },
    trigger: ['commit-tree', '-S', '-m', 'x', 'HEAD^{tree}'],
  },
  {
    // An object that is not there is asked of a remote, which may be a program.
    name: 'remote',
    plant({ repository, mark }) {
      repository.git('config', 'protocol.ext.allow', 'always')
      repository.git('config', 'remote.origin.url', `ext::${mark('remote', 'exit 1')}`)
      repository.git('config', 'remote.origin.promisor', 'true')
    },
    trigger: ['cat-file', '-p', '1234567890'.repeat(4)],
  },
]

const ENDS = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
const files = (first: string): Record<string, string> =>
  Object.fromEntries(ENDS.map((end) => [`file.${end}`, `${first}\n2 ${end}\n3\n4\n5\n`]))
const ENVIRONMENT = {
  PATH: process.env.PATH,
  HOME: '/nonexistent',
  ...Object.fromEntries(
    ['AUTHOR', 'COMMITTER'].flatMap((who) => [
      [`GIT_${who}_NAME`, 'Test'],
      [`GIT_${who}_EMAIL`, 'test@localhost'],
    ]),
  ),
}

let scratch: Scratch
let marks: string
let path: string
let ran: readonly string[]
const results: Record<string, unknown> = {}

beforeAll(async () => {
  scratch = await createScratch()
  marks = join(scratch.dir, 'marks')
  for (const dir of [marks, join(scratch.dir, 'programs')]) mkdirSync(dir)
  const mark: Place['mark'] = (name, then = 'cat') => {
    const program = join(scratch.dir, 'programs', name)
    writeFileSync(program, `#!/bin/sh\ntouch "${join(marks, name)}"\n${then}\n`)
    chmodSync(program, 0o755)
    return program
  }
  const repository = initRepository(join(scratch.dir, 'shop'), {
    ...files('1'),
    'gone.txt': 'gone\n',
    '.gitattributes': ATTRIBUTES,
  })
  const commonDir = join(repository.dir, '.git')
  const git = createGit({ PATH: process.env.PATH, HOME: scratch.dir })
  const worktrees = createWorktrees({
    git,
    dataDir: join(scratch.dir, 'data'),
    roots: [scratch.dir],
    podId: 'pod',
    host: 'here',
    namespace: 'default',
    lock: (_name, work) => work(),
    lifeOf: async () => 'ended',
  })
  async function open(): Promise<WorktreeRecord> {
    const owner = { agentType: 'architect', taskId: null, ancestors: [], hasBegun: false }
    const found = await worktrees.repositoryOf(repository.dir)
    return await worktrees.open(found, { sessionId: newSessionId(), ...owner })
  }

  const first = await open()
  path = first.path
  // So that there is something to merge.
  repository.commit({ 'file.g': `${files('1')['file.g']}6\n` })
  for (const { plant } of PLANTS) plant({ repository, path, mark })
  for (const [name, text] of Object.entries({ ...files('one'), 'gone.txt': 'x\n', 'new.a': 'new\n' }))
    writeFileSync(join(path, name), text)
  rmSync(marks, { recursive: true })
  mkdirSync(marks)

  // All that Drover does with git, from the look at the workspace to the end.
  const second = await open()
  results['filled'] = readdirSync(second.path).length
  results['removed'] = await removeClean(git, commonDir, second)
  results['changes'] = await changesOf(git, commonDir, first)
  results['diff'] = (await diffOf(git, commonDir, first)).stdout
  await worktrees.settle(repository.dir, first.session_id)
  results['state'] = (await readRecord(commonDir, first.key))?.state
  results['merged'] = await mergeWorktree(git, commonDir, first)
  results['cleaned'] = await removeClean(git, commonDir, first)
  const gone = repository.git('rev-parse', 'main~1:gone.txt').trim()
  rmSync(join(commonDir, 'objects', gone.slice(0, 2), gone.slice(2)))
  results['gone'] = await diffOf(git, commonDir, first).then(
    () => 'shown',
    () => 'refused',
  )
  ran = readdirSync(marks)
}, 60_000)
afterAll(() => scratch.check())

test('what Drover does with such a repository is right', () => {
  expect(results).toMatchObject({
    filled: ENDS.length + 3,
    removed: true,
    changes: { ahead: 0, hasRepositories: true },
    state: 'kept',
    merged: { merged: true, committedFiles: ENDS.length + 4 },
    // There is a repository in it still.
    cleaned: false,
    gone: 'refused',
  })
  expect(results['diff']).toMatch(/\+one[^]*new file mode 160000/)
})

test.each(PLANTS)('$name is not run, and would be', ({ name, trigger }) => {
  expect(ran).not.toContain(name)
  for (const end of ENDS) writeFileSync(join(path, `file.${end}`), 'more\n')
  const run = { cwd: path, env: ENVIRONMENT, stdio: 'ignore', timeout: 10_000 } as const
  try {
    execFileSync('git', trigger, run)
  } catch {
    // The planted program does not do what git expects of it.
  }
  expect(readdirSync(marks)).toContain(name)
})

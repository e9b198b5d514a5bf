/** `./drover` and `scripts/setup.sh`, run in a small checkout of their own with the real npm. */
import { existsSync, lstatSync } from 'node:fs'
import { chmod, copyFile, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { execa, type Options } from 'execa'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { until } from '../support/until.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const NODE_DIR = dirname(process.execPath)

let scratch: Scratch
let checkout: string
beforeEach(async () => {
  scratch = await createScratch()
  checkout = join(scratch.dir, 'checkout')
  await mkdir(join(checkout, 'scripts'), { recursive: true })
  await mkdir(join(checkout, 'src'))
  await copyFile(join(ROOT, 'drover'), join(checkout, 'drover'))
  await copyFile(join(ROOT, 'scripts/setup.sh'), join(checkout, 'scripts/setup.sh'))
  const name = { name: 'small', version: '1.0.0' }
  const files = {
    'package.json': JSON.stringify({ ...name, type: 'module', scripts: { build: 'node build.mjs' } }),
    'package-lock.json': JSON.stringify({
      ...name,
      lockfileVersion: 3,
      requires: true,
      packages: { '': name },
    }),
    '.npmrc': '',
    'tsconfig.json': '{}',
    'tsconfig.build.json': '{}',
    'src/main.js': `
      console.log(JSON.stringify({ args: process.argv.slice(2), cwd: process.cwd(), node: process.version }))
      process.stdin.pipe(process.stdout)`,
    // Notes each build; what stands in build.wait holds it up, what stands in build.fail fails it.
    'build.mjs': `
      import { appendFileSync, cpSync, existsSync } from 'node:fs'
      appendFileSync('builds', 'x')
      while (existsSync('build.wait')) await new Promise((resolve) => setTimeout(resolve, 20))
      if (existsSync('build.fail')) { console.error('src/main.ts(1,1): error TS1005'); process.exit(2) }
      cpSync('src', 'dist/cli', { recursive: true })`,
  }
  for (const [path, text] of Object.entries(files)) await writeFile(join(checkout, path), text)
})
afterEach(() => scratch.check())

function drover(args: readonly string[] = [], options: Options = {}) {
  const PATH = `${NODE_DIR}:${process.env['PATH'] ?? ''}`
  return execa(join(checkout, 'drover'), args, {
    cwd: scratch.dir,
    input: '',
    reject: false,
    stripFinalNewline: false,
    ...options,
    env: { ...scratch.env, PATH, ...options.env },
  })
}

const touch = (name: string): Promise<void> => writeFile(join(checkout, name), '')
const builds = async (): Promise<number> =>
  (await readFile(join(checkout, 'builds'), 'utf8').catch(() => '')).length
// The lock is a link to nothing: only its name exists.
const lockLeft = (): boolean =>
  lstatSync(join(checkout, 'data/tools/setup.lock'), { throwIfNoEntry: false }) !== undefined

describe('a fresh checkout', () => {
  it('is set up, says so on stderr only, and runs the program as it was called', async () => {
    const run = await drover(['--json', 'a b', '*'], { input: 'from stdin' })
    const [line, rest] = String(run.stdout).split('\n')
    expect(JSON.parse(line ?? '')).toEqual({
      args: ['--json', 'a b', '*'],
      cwd: scratch.dir,
      node: process.version,
    })
    expect(rest).toBe('from stdin')
    expect(run.exitCode).toBe(0)
    for (const part of ['npm packages: fetching', 'npm registry', 'build: compiling', 'ready after']) {
      expect(run.stderr).toContain(part)
    }
    expect(lockLeft()).toBe(false)
  })

  it('says nothing and does nothing the second time', async () => {
    await drover()
    const before = await readdir(checkout, { recursive: true })
    const again = await drover()
    expect(again.stderr).toBe('')
    expect(await builds()).toBe(1)
    expect(await readdir(checkout, { recursive: true })).toEqual(before)
  })

  it('is found through symbolic links, relative ones too', async () => {
    await mkdir(join(scratch.dir, 'bin'))
    await symlink('../checkout/drover', join(scratch.dir, 'bin/first'))
    await symlink(join(scratch.dir, 'bin/first'), join(scratch.dir, 'second'))
    const run = await execa(join(scratch.dir, 'second'), ['hello'], {
      cwd: '/',
      input: '',
      env: { ...scratch.env, PATH: `${NODE_DIR}:${process.env['PATH'] ?? ''}` },
    })
    expect(JSON.parse(run.stdout)).toMatchObject({ args: ['hello'], cwd: '/' })
  })
})

describe('a change', () => {
  it.each([
    ['of a source', () => writeFile(join(checkout, 'src/main.js'), 'console.log("changed")')],
    ['that adds a source', () => touch('src/new.js')],
    ['that removes a source', () => rm(join(checkout, 'src/old.js'))],
    ['of the compiler’s settings', () => writeFile(join(checkout, 'tsconfig.json'), '{"x":1}')],
  ])('%s is built, without fetching packages', async (_case, change) => {
    await touch('src/old.js')
    await drover()
    await change()
    const run = await drover()
    expect(await builds()).toBe(2)
    expect(run.stderr).not.toContain('npm packages')
  })

  it('of the lock file fetches packages', async () => {
    await drover()
    const lock = join(checkout, 'package-lock.json')
    await writeFile(lock, `${await readFile(lock, 'utf8')}\n`)
    expect((await drover()).stderr).toContain('npm packages: fetching')
  })
})

describe('a failed step', () => {
  it('ends with 3, its last lines and what to do, and is tried again', async () => {
    await touch('build.fail')
    const failed = await drover()
    expect(failed.exitCode).toBe(3)
    expect(failed.stdout).toBe('')
    expect(failed.stderr).toContain('src/main.ts(1,1): error TS1005')
    expect(failed.stderr).toContain('Correct what the compiler names')
    expect(lockLeft()).toBe(false)
    await rm(join(checkout, 'build.fail'))
    expect((await drover()).exitCode).toBe(0)
    expect(await builds()).toBe(2)
  })

  it('of npm says so: a lock file that does not fit', async () => {
    const file = join(checkout, 'package.json')
    const text = await readFile(file, 'utf8')
    // A directory beside it: npm asks no registry about it.
    await mkdir(join(checkout, 'other'))
    await writeFile(join(checkout, 'other/package.json'), '{"name":"other","version":"1.0.0"}')
    await writeFile(file, text.replace('{', '{"dependencies":{"other":"file:other"},'))
    const failed = await drover()
    expect(failed.exitCode).toBe(3)
    expect(failed.stderr).toContain('npm packages: "npm ci" failed.')
  })
})

describe('several at once', () => {
  it('set up once and all run', async () => {
    const runs = await Promise.all([1, 2, 3].map((number) => drover([String(number)])))
    expect(runs.map((run) => run.exitCode)).toEqual([0, 0, 0])
    expect(await builds()).toBe(1)
    expect(lockLeft()).toBe(false)
  })

  it('take over the lock of one that was killed', async () => {
    await mkdir(join(checkout, 'data/tools'), { recursive: true })
    await symlink('999999999', join(checkout, 'data/tools/setup.lock'))
    const runs = await Promise.all([1, 2].map((number) => drover([String(number)])))
    expect(runs.map((run) => run.exitCode)).toEqual([0, 0])
    expect(await builds()).toBe(1)
    expect((await readdir(join(checkout, 'data/tools'))).toSorted()).toEqual(['setup.log'])
  })
})

describe('an interrupted set-up', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGKILL', undefined],
  ] as const)('by %s leaves nothing that the next run trusts', async (signal, exitCode) => {
    await touch('build.wait')
    // Its own process group, as a terminal's foreground job: the whole group gets the signal.
    const run = drover([], { detached: true })
    await until(builds, { message: 'the build to begin' })
    process.kill(-(run.pid ?? 0), signal)
    expect((await run).exitCode).toBe(exitCode)
    expect(lockLeft()).toBe(signal === 'SIGKILL')
    await rm(join(checkout, 'build.wait'))
    expect((await drover()).exitCode).toBe(0)
    expect(await builds()).toBe(2)
    expect(lockLeft()).toBe(false)
  })
})

describe('Node', () => {
  async function systemNode(version: string): Promise<string> {
    const bin = join(scratch.dir, 'old-node')
    await mkdir(bin)
    await writeFile(join(bin, 'node'), `#!/bin/sh\necho v${version}\n`)
    await chmod(join(bin, 'node'), 0o755)
    return `${bin}:${NODE_DIR}:${process.env['PATH'] ?? ''}`
  }

  async function fetchedNode(): Promise<void> {
    await mkdir(join(checkout, 'data/tools/node/bin'), { recursive: true })
    await symlink(process.execPath, join(checkout, 'data/tools/node/bin/node'))
  }

  it.each(['20.20.2', '22.17.9', '23.11.1', '9.99.99'])(
    '%s is passed over for the fetched one',
    async (version) => {
      await fetchedNode()
      const run = await drover([], { env: { PATH: await systemNode(version) } })
      expect(run.exitCode).toBe(0)
      expect(JSON.parse(String(run.stdout))).toMatchObject({ node: process.version })
    },
  )

  it.each(['22.18.0', '24.0.0-rc.1', '100.0.0'])('%s is used', async (version) => {
    await fetchedNode()
    const run = await drover([], { env: { PATH: await systemNode(version) } })
    // Our "system Node" only says its version.
    expect(run.stdout).toBe(`v${version}\n`)
  })

  it('says what to do when there is neither Node nor npm', async () => {
    const bin = join(scratch.dir, 'bare')
    await mkdir(bin)
    for (const tool of [
      'sh',
      'dirname',
      'readlink',
      'ln',
      'mkdir',
      'rm',
      'uname',
      'date',
      'tr',
      'cksum',
      'find',
      'mv',
    ]) {
      const found = ['/bin', '/usr/bin'].map((dir) => join(dir, tool)).find((file) => existsSync(file))
      await symlink(found ?? tool, join(bin, tool))
    }
    const run = await drover([], { env: { PATH: bin } })
    expect(run.exitCode).toBe(3)
    expect(run.stderr).toContain('npm is not on the PATH')
    expect(run.stderr).toContain('apt install nodejs npm')
    expect(lockLeft()).toBe(false)
  })
})

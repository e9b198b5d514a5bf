import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { execa } from 'execa'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { completeLock, missingOptional, parseLock } from '../../scripts/lock-file.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const text = await readFile(join(ROOT, 'package-lock.json'), 'utf8')
const lock = parseLock(text)

let scratch: Scratch
beforeEach(async () => {
  scratch = await createScratch()
})
afterEach(() => scratch.check())

describe('package-lock.json', () => {
  it('has every optional dependency of every package; if not, run: npm run lock', () => {
    expect(missingOptional(lock)).toEqual([])
  })

  it('records no download address', () => {
    expect(Object.entries(lock.packages).filter(([, entry]) => entry.resolved !== undefined)).toEqual([])
    expect(text).not.toMatch(/https?:[^"]*\.tgz/)
  })

  it('has a checksum for every package but the added ones, which are for one platform', () => {
    const unchecked = Object.entries(lock.packages).filter(([path, entry]) => path !== '' && !entry.integrity)
    const wrong = unchecked.filter(([, { version, optional, os, cpu }]) => {
      return version === undefined || optional !== true || (os ?? cpu)?.length !== 1
    })
    expect(wrong).toEqual([])
  })

  // npm itself judges, without the network and without installing.
  it.each([
    ['linux', 'x64', 'glibc'],
    ['linux', 'arm64', 'glibc'],
    ['darwin', 'arm64', ''],
    ['darwin', 'x64', ''],
  ])('is accepted by npm ci on %s %s', async (os, cpu, libc) => {
    for (const name of ['package.json', 'package-lock.json', '.npmrc']) {
      await copyFile(join(ROOT, name), join(scratch.dir, name))
    }
    const platform = [`--os=${os}`, `--cpu=${cpu}`, ...(libc === '' ? [] : [`--libc=${libc}`])]
    const { stdout } = await execa(
      'npm',
      ['ci', '--dry-run', '--offline', '--no-audit', '--loglevel=notice', ...platform],
      {
        cwd: scratch.dir,
        env: scratch.env,
      },
    )
    expect(stdout).toMatch(/added \d+ packages/)
    expect(stdout).toContain(`@msgpackr-extract/msgpackr-extract-${os}-${cpu} `)
  })
})

describe('completeLock', () => {
  const packages = {
    '': { optionalDependencies: { '@x/tool-win32-ia32-msvc': '1.0.0' } },
    'node_modules/a': {
      resolved: 'https://mirror.invalid/a.tgz',
      dev: true,
      optionalDependencies: { '@x/bind-linux-x64-musl': '2.0.0-rc.1', nested: '1.0.0' },
    },
    'node_modules/a/node_modules/nested': { version: '1.0.0' },
    'node_modules/@x/present-darwin-x64': { version: '1.0.0' },
    'node_modules/b': { optionalDependencies: { '@x/present-darwin-x64': '1.0.0' } },
  }

  it('adds what is missing for its platform, development packages as such, and drops addresses', () => {
    const { complete, added, addressesRemoved } = completeLock({ lockfileVersion: 3, packages })
    expect(added.map(({ name }) => name)).toEqual(['@x/tool-win32-ia32-msvc', '@x/bind-linux-x64-musl'])
    expect(addressesRemoved).toBe(1)
    expect(complete.packages['node_modules/@x/tool-win32-ia32-msvc']).toEqual({
      version: '1.0.0',
      cpu: ['ia32'],
      optional: true,
      os: ['win32'],
    })
    expect(complete.packages['node_modules/@x/bind-linux-x64-musl']).toEqual({
      version: '2.0.0-rc.1',
      cpu: ['x64'],
      dev: true,
      libc: ['musl'],
      optional: true,
      os: ['linux'],
    })
    expect(complete.packages['node_modules/a']).not.toHaveProperty('resolved')
    expect(Object.keys(complete.packages)).toEqual(Object.keys(complete.packages).toSorted())
    expect(missingOptional(complete)).toEqual([])
  })

  it.each([
    ['a range', { 'x-linux-x64': '^1.0.0' }, 'exact version'],
    ['a name without a platform', { fsevents: '1.0.0' }, 'says no platform'],
  ])('refuses %s: it would have to guess', (_case, optionalDependencies, message) => {
    expect(() => completeLock({ packages: { '': { optionalDependencies } } })).toThrow(message)
  })

  it('is what `npm run lock` writes, and writes again unchanged', async () => {
    const path = join(scratch.dir, 'package-lock.json')
    await writeFile(path, JSON.stringify({ lockfileVersion: 3, packages }))
    const run = () =>
      execa(process.execPath, [join(ROOT, 'scripts/complete-lock.ts'), path], { env: scratch.env })
    expect((await run()).stdout).toContain('2 optional packages added, 1 addresses removed')
    const once = await readFile(path, 'utf8')
    expect((await run()).stdout).toContain('0 optional packages added, 0 addresses removed')
    expect(await readFile(path, 'utf8')).toBe(once)
  })

  it('refuses a file that is no lock', () => {
    expect(() => parseLock('{"packages": []}')).toThrow('no package-lock.json')
  })
})

import { chmod, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findProgram } from '../../src/setup/program.ts'
import { startRedisProcess } from '../../src/setup/redis-process.ts'
import { findRedisServer } from '../../src/setup/redis-server.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'

let scratch: Scratch
let toolsDir: string
let bin: string
const said: string[] = []
beforeEach(async () => {
  scratch = await createScratch()
  toolsDir = join(scratch.dir, 'tools')
  bin = join(scratch.dir, 'bin')
  await mkdir(bin)
  said.length = 0
})
afterEach(() => scratch.check())

const find = (searchPath: string) =>
  findRedisServer({ toolsDir, searchPath, say: (line) => void said.push(line) })

/** A program of the system that is not ours, as far as it is asked here. */
async function program(name: string, script: string, dir = bin): Promise<void> {
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, name), `#!/bin/sh\n${script}\n`)
  await chmod(join(dir, name), 0o755)
}

/** Programs of this machine, and nothing else, on the path. */
async function link(...names: string[]): Promise<void> {
  for (const name of names) {
    const file = await findProgram(name, process.env['PATH'] ?? '')
    if (file !== null) await symlink(file, join(bin, name))
  }
}

describe('on the search path', () => {
  it('takes a server that is new enough', async () => {
    await program('redis-server', 'echo "Redis server v=6.2.0 sha=0"')
    expect(await find(bin)).toEqual({ file: join(bin, 'redis-server'), version: '6.2.0', env: {} })
  })

  it('takes Valkey where Redis is too old', async () => {
    await program('redis-server', 'echo "Redis server v=6.0.16 sha=0"')
    await program('valkey-server', 'echo "Valkey server v=8.1.1 sha=0"')
    expect(await find(bin)).toMatchObject({ file: join(bin, 'valkey-server'), version: '8.1.1' })
  })
})

it('takes what an earlier run unpacked, with its libraries', async () => {
  const root = join(toolsDir, 'redis')
  await mkdir(join(root, 'usr/lib/x86_64-linux-gnu'), { recursive: true })
  await program('redis-server', '[ -n "$LD_LIBRARY_PATH" ] && echo v=7.0.15', join(root, 'usr/bin'))
  expect(await find(bin)).toEqual({
    file: join(root, 'usr/bin/redis-server'),
    version: '7.0.15',
    env: { LD_LIBRARY_PATH: join(root, 'usr/lib/x86_64-linux-gnu') },
  })
})

describe('where there is none', () => {
  it('says what to choose from, and what was found instead', async () => {
    await program('redis-server', 'echo "Redis server v=5.0.14 sha=0"')
    const error = await find(bin).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'setup_failed', exitCode: 3 })
    for (const part of [
      '5.0.14',
      'docker compose up -d redis',
      'apt install redis-server',
      'brew install redis',
    ]) {
      expect(String(error)).toContain(part)
    }
    expect(String(error)).toContain('set REDIS_URL')
  })

  it('says that the package archive has only an older one', async () => {
    await link('sh', 'cat')
    await program('dpkg-deb', 'exit 1')
    await program(
      'apt-get',
      `case "$*" in *--simulate*redis-server*) echo "Inst redis-server (5:6.0.16-1ubuntu1 Ubuntu:22.04 [amd64])";;
       *) exit 100;; esac`,
    )
    await expect(find(bin)).rejects.toThrow('6.0.16')
    expect(await readdir(toolsDir)).toEqual([])
  })

  it('installs with Homebrew where that is the package manager', async () => {
    await link('sh', 'cat', 'chmod')
    await program(
      'brew',
      `case "$1" in
       install) printf '#!/bin/sh\\necho v=8.0.0\\n' > ${bin}/redis-server; chmod +x ${bin}/redis-server;;
       --prefix) echo ${scratch.dir};; esac`,
    )
    expect(await find(bin)).toMatchObject({ file: join(bin, 'redis-server'), version: '8.0.0' })
    expect(said.join('\n')).toContain('brew install redis')
  })
})

// Against the real archive of the distribution: needs the network, so not on every developer's second run.
const archive = process.env['CI'] === 'true' || process.env['DROVER_TEST_NETWORK'] === '1'
const apt = (await findProgram('apt-get', process.env['PATH'] ?? '')) !== null

describe.runIf(archive && apt)('out of the package archive', () => {
  it.each([
    ['with the lists of the system', ''],
    ['with lists of its own where the system has none', '-o Dir::State::lists=/nowhere'],
  ])(
    'unpacks a server that runs, %s',
    async (_case, options) => {
      await link('dpkg-deb', 'dpkg', 'sh', 'tar', 'rm')
      const aptGet = (await findProgram('apt-get', process.env['PATH'] ?? '')) ?? ''
      // Later options win, so lists of our own stay possible.
      await program('apt-get', `exec ${aptGet} ${options} "$@"`)
      const binary = await find(bin)
      expect(binary.file.startsWith(join(toolsDir, 'redis'))).toBe(true)
      expect(said.join('\n')).toMatch(/fetching redis-server [\d.]+ \(\d+ packages, [\d.]+ MB\)/)
      expect(await readdir(toolsDir)).toEqual(['redis'])
      const server = await startRedisProcess({ binary, dir: scratch.dir, settings: { save: '' } })
      await server.stop()
      expect(await find(bin)).toEqual(binary)
      // A slow mirror is no failure.
    },
    300_000,
  )
})

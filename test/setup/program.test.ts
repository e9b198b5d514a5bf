import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { atLeast, findProgram, isExecutable, probeVersion } from '../../src/setup/program.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'

let scratch: Scratch
beforeEach(async () => {
  scratch = await createScratch()
})
afterEach(() => scratch.check())

async function program(name: string, script: string): Promise<string> {
  const file = join(scratch.dir, name)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, `#!/bin/sh\n${script}\n`)
  await chmod(file, 0o755)
  return file
}

describe('findProgram', () => {
  it('takes the first executable file on the path', async () => {
    const first = await program('a/tool', 'exit 0')
    await program('b/tool', 'exit 0')
    expect(await findProgram('tool', [dirname(first), join(scratch.dir, 'b')].join(':'))).toBe(first)
  })

  it('passes over files that are not executable, directories and relative entries', async () => {
    await chmod(await program('a/tool', 'exit 0'), 0o644)
    await mkdir(join(scratch.dir, 'b/tool'), { recursive: true })
    const last = await program('c/tool', 'exit 0')
    const path = [`${scratch.dir}/a`, `${scratch.dir}/b`, '', '.', 'c', `${scratch.dir}/c`].join(':')
    expect(await findProgram('tool', path)).toBe(last)
    expect(await findProgram('no-such-tool', path)).toBeNull()
  })
})

describe('probeVersion', () => {
  it('takes the first version number', async () => {
    const file = await program('redis', 'echo "Redis server v=7.0.15 sha=0000:0 malloc=jemalloc-5.3.0"')
    expect(await probeVersion(file, {})).toEqual({ version: '7.0.15' })
  })

  it('passes on nothing but the given environment', async () => {
    const file = await program('tool', '/usr/bin/env | grep -v -E "^(PWD|SHLVL|_)=" ; echo 1.2.3')
    process.env['DROVER_CANARY'] = '9.9.9'
    try {
      expect(await probeVersion(file, {})).toEqual({ version: '1.2.3' })
    } finally {
      delete process.env['DROVER_CANARY']
    }
  })

  it.each([
    ['fails', 'echo "1.2.3"; echo "no licence" >&2; exit 1', 'no licence'],
    ['says no version', 'echo hello', 'hello'],
    ['says nothing', 'exit 0', 'nothing'],
  ])('says why when the program %s', async (_case, script, expected) => {
    const probe = await probeVersion(await program('tool', script), {})
    expect(probe).toEqual({ problem: expect.stringContaining(expected) })
  })

  it('says why when there is no such program', async () => {
    const probe = await probeVersion(join(scratch.dir, 'missing'), {})
    expect(probe).toEqual({ problem: expect.stringContaining('ENOENT') })
  })
})

describe('atLeast', () => {
  it.each([
    ['6.2', '6.2', true],
    ['7.0.15', '6.2', true],
    ['6.10.0', '6.2', true],
    ['6.0.16', '6.2', false],
    ['2.1.329', '2.1.329', true],
    ['2.1.1000', '2.1.329', true],
    ['2.1.197', '2.1.329', false],
    ['8', '6.2', true],
  ])('%s against %s is %s', (version, minimum, expected) => {
    expect(atLeast(version, minimum)).toBe(expected)
  })
})

it('isExecutable is false for what is not there', async () => {
  expect(await isExecutable(join(scratch.dir, 'missing'))).toBe(false)
})

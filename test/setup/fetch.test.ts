import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fetchTool, megabytes, runTool } from '../../src/setup/fetch.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { until } from '../support/until.ts'

let scratch: Scratch
let toolsDir: string
beforeEach(async () => {
  scratch = await createScratch()
  toolsDir = join(scratch.dir, 'tools')
})
afterEach(() => scratch.check())

const fillWith = (text: string) => async (dir: string) => {
  await writeFile(join(dir, 'version'), text)
}

describe('fetchTool', () => {
  it('makes the tool, and replaces an older one', async () => {
    expect(await fetchTool(toolsDir, 'redis', fillWith('1'))).toBe(join(toolsDir, 'redis'))
    await fetchTool(toolsDir, 'redis', fillWith('2'))
    expect(await readFile(join(toolsDir, 'redis/version'), 'utf8')).toBe('2')
    expect(await readdir(toolsDir)).toEqual(['redis'])
  })

  it('leaves the old tool alone and nothing behind when filling fails', async () => {
    await fetchTool(toolsDir, 'redis', fillWith('1'))
    const failing = fetchTool(toolsDir, 'redis', async (dir) => {
      await writeFile(join(dir, 'half'), '')
      throw new Error('the mirror is away')
    })
    await expect(failing).rejects.toThrow('the mirror is away')
    expect(await readdir(toolsDir)).toEqual(['redis'])
    expect(await readFile(join(toolsDir, 'redis/version'), 'utf8')).toBe('1')
  })

  it('never shows a half tool when it is killed, and the next fetch clears the rest away', async () => {
    const fetching = execa(
      process.execPath,
      [
        '--input-type=module-typescript',
        '--eval',
        `import { writeFile } from 'node:fs/promises'
         import { fetchTool } from ${JSON.stringify(join(import.meta.dirname, '../../src/setup/fetch.ts'))}
         await fetchTool(${JSON.stringify(toolsDir)}, 'redis', async (dir) => {
           await writeFile(dir + '/half', '')
           console.log('filling')
           await new Promise((resolve) => setTimeout(resolve, 60_000))
         })`,
      ],
      { reject: false, env: scratch.env },
    )
    await until(() => existsSync(toolsDir) && readdir(toolsDir).then((names) => names.length === 1), {
      message: 'the fetch to begin',
    })
    fetching.kill('SIGKILL')
    await fetching
    expect(existsSync(join(toolsDir, 'redis'))).toBe(false)
    expect(await readdir(toolsDir)).toHaveLength(1)
    await fetchTool(toolsDir, 'redis', fillWith('1'))
    expect(await readdir(toolsDir)).toEqual(['redis'])
  })

  it('leaves what another live process is filling', async () => {
    const theirs = join(toolsDir, `.redis-${process.ppid}-x`)
    await mkdir(theirs, { recursive: true })
    await fetchTool(toolsDir, 'redis', fillWith('1'))
    expect(existsSync(theirs)).toBe(true)
  })

  it('settles when several fetch the same tool at once', async () => {
    await Promise.all(['1', '2', '3', '4'].map((text) => fetchTool(toolsDir, 'redis', fillWith(text))))
    expect(['1', '2', '3', '4']).toContain(await readFile(join(toolsDir, 'redis/version'), 'utf8'))
    expect(await readdir(toolsDir)).toEqual(['redis'])
  })
})

describe('runTool', () => {
  it('answers the standard output', async () => {
    expect(await runTool('sh', ['-c', 'pwd; echo "$WHO"'], { cwd: scratch.dir, env: { WHO: 'me' } })).toBe(
      `${scratch.dir}\nme`,
    )
  })

  it('fails with the last words of the tool', async () => {
    await expect(
      runTool('sh', ['-c', 'echo out; echo "E: no such package" >&2; exit 100']),
    ).rejects.toMatchObject({
      code: 'setup_failed',
      message: expect.stringContaining('E: no such package'),
    })
    await expect(runTool(join(scratch.dir, 'missing'), [])).rejects.toMatchObject({ code: 'setup_failed' })
  })
})

it('megabytes', () => {
  expect(megabytes(1_234_567)).toBe('1.2 MB')
})

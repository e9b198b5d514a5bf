import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FindClaude, findClaude } from '../../src/setup/claude-cli.ts'
import { findProgram } from '../../src/setup/program.ts'
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
  for (const name of ['sh', 'env', 'mkdir', 'cat', 'chmod', 'grep', 'ls']) {
    const file = await findProgram(name, process.env['PATH'] ?? '')
    if (file !== null) await symlink(file, join(bin, name))
  }
  said.length = 0
})
afterEach(() => scratch.check())

const find = (more: Partial<FindClaude> = {}) =>
  findClaude({ path: null, searchPath: bin, toolsDir, say: (line) => void said.push(line), ...more })

async function program(name: string, script: string): Promise<string> {
  const file = join(bin, name)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, `#!/bin/sh\n${script}\n`)
  await chmod(file, 0o755)
  return file
}

/** An npm that makes what the registry's packages of that version hold, and writes down how it was called. */
function npmWith(version: string, platformPackage: string): string {
  return `echo "$@" > "${scratch.dir}/npm-args"
    scope="$PWD/node_modules/@anthropic-ai"
    mkdir -p "$scope/claude-code/bin" "$scope/${platformPackage}" "$PWD/node_modules/.bin"
    printf '#!/bin/sh\\necho "claude native binary not installed" >&2; exit 1\\n' > "$PWD/node_modules/.bin/claude"
    printf '#!/bin/sh\\necho "${version} (Claude Code)"\\n' > "$scope/${platformPackage}/claude"
    chmod +x "$PWD/node_modules/.bin/claude" "$scope/${platformPackage}/claude"`
}

describe('a configured CLI', () => {
  it('is taken whatever its version, and nothing else is looked at', async () => {
    await program('claude', 'echo "9.9.9 (Claude Code)"')
    const path = await program('mine', 'echo "1.0.0 (Claude Code)"')
    expect(await find({ path })).toEqual({ path, version: '1.0.0' })
  })

  it.each([
    ['is not there', null],
    ['does not answer', 'echo "no licence" >&2; exit 1'],
  ])('is an error when it %s', async (_case, script) => {
    const path = script === null ? join(bin, 'missing') : await program('mine', script)
    const error = await find({ path }).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'setup_failed', exitCode: 3 })
    expect(String(error)).toContain(path)
    expect(String(error)).toContain('DROVER_CLAUDE_PATH')
  })

  it('is asked with a home of its own and none of the caller’s variables', async () => {
    const path = await program('mine', `env > "${scratch.dir}/seen"; ls -A "$HOME" && echo 2.1.329`)
    process.env['ANTHROPIC_API_KEY'] = 'canary-key'
    process.env['CLAUDE_CANARY'] = 'canary-claude'
    try {
      await find({ path })
    } finally {
      delete process.env['ANTHROPIC_API_KEY']
      delete process.env['CLAUDE_CANARY']
    }
    const seen = await readFile(join(scratch.dir, 'seen'), 'utf8')
    expect(seen).not.toContain('canary')
    expect(seen).not.toContain(`HOME=${process.env['HOME']}\n`)
  })
})

describe('on the search path', () => {
  it.each(['2.1.329', '2.2.0', '3.0.1'])('%s is taken', async (version) => {
    const path = await program('claude', `echo "${version} (Claude Code)"`)
    expect(await find()).toEqual({ path, version })
  })

  it('an older one is passed over with a word, for the fetched one', async () => {
    const old = await program('claude', 'echo "2.1.197 (Claude Code)"')
    await program('npm', npmWith('2.1.329', 'claude-code-linux-x64'))
    expect((await find()).version).toBe('2.1.329')
    expect(said[0]).toBe(`Claude CLI: not using ${old}: it is 2.1.197, but 2.1.329 is needed`)
  })
})

describe('the npm package', () => {
  it('is fetched once, with the version pinned, without install scripts', async () => {
    await program('npm', npmWith('2.1.329', 'claude-code-linux-x64'))
    const found = await find()
    expect(found).toEqual({ path: join(toolsDir, 'claude/node_modules/.bin/claude'), version: '2.1.329' })
    const args = (await readFile(join(scratch.dir, 'npm-args'), 'utf8')).trim().split(' ')
    expect(args).toContain('@anthropic-ai/claude-code@2.1.329')
    expect(args).toContain('--ignore-scripts')
    expect(said.join('\n')).toMatch(/fetching .* 2\.1\.329 \(361 MB unpacked\) from the npm registry/)
    await program('npm', 'exit 1')
    expect(await find()).toEqual(found)
    expect(await readdir(toolsDir)).toEqual(['claude'])
  })

  it('is fetched again when another version is pinned', async () => {
    await program('npm', npmWith('2.1.329', 'claude-code-linux-x64'))
    await find()
    await program('npm', npmWith('2.1.400', 'claude-code-linux-x64'))
    expect((await find({ pinned: '2.1.400' })).version).toBe('2.1.400')
  })

  it.each([
    ['npm fails', 'echo "npm error code E404" >&2; exit 1', 'npm error code E404'],
    ['there is none for this platform', 'mkdir -p node_modules/@anthropic-ai/claude-code', 'no program for'],
  ])('is a sentence that says what to do when %s', async (_case, script, expected) => {
    await program('npm', script)
    const error = await find().catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'setup_failed' })
    expect(String(error)).toContain(expected)
    expect(String(error)).toContain('npm install -g @anthropic-ai/claude-code@2.1.329')
    expect(await readdir(toolsDir)).toEqual([])
  })

  it('says that npm is missing', async () => {
    await expect(find()).rejects.toThrow('npm is not on the PATH')
  })
})

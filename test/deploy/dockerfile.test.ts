import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { PINNED_CLAUDE } from '../../src/setup/claude-cli.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const read = (name: string): string => readFileSync(resolve(ROOT, name), 'utf8')

interface Instruction {
  readonly name: string
  readonly text: string
}

/** Instructions with continued lines joined, without comments. */
const instructions: readonly Instruction[] = read('Dockerfile')
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line.trim() !== '')
  .map((line) => ({ name: line.slice(0, line.indexOf(' ')), text: line.slice(line.indexOf(' ') + 1) }))
const stages = instructions.reduce<Instruction[][]>((all, instruction) => {
  if (instruction.name === 'FROM') return [...all, [instruction]]
  return [...all.slice(0, -1), [...(all.at(-1) ?? []), instruction]]
}, [])
const final = stages.at(-1) ?? []
const of = (name: string): string[] =>
  final.filter((instruction) => instruction.name === name).map(({ text }) => text)

/** What COPY takes from the checkout. */
const copied = instructions
  .filter(({ name, text }) => name === 'COPY' && !text.startsWith('--from'))
  .flatMap(({ text }) => text.split(' ').slice(0, -1))

it('every stage has the Node that a checkout would fetch', () => {
  const version = /Linux-x86_64.*wanted=([\d.]+)/.exec(read('scripts/setup.sh'))?.[1]
  expect(version).toMatch(/^24\./)
  expect(stages.map(([from]) => from?.text.split(' ')[0])).toEqual(
    stages.map(() => `node:${version}-bookworm-slim`),
  )
})

describe('the final stage', () => {
  it('has the pinned Claude CLI and proves that it runs', () => {
    expect(of('RUN').join('\n')).toContain(`@anthropic-ai/claude-code@${PINNED_CLAUDE}`)
    expect(of('RUN').join('\n')).toContain('claude --version')
  })

  it('has what agents need: git, and tools for namespaces', () => {
    for (const name of ['git', 'util-linux', 'bubblewrap', 'ca-certificates']) {
      expect(of('RUN').join('\n')).toMatch(new RegExp(`install .*\\b${name}\\b`))
    }
  })

  it('has production packages and the build, and no compiler or sources', () => {
    expect(of('COPY').filter((text) => text.startsWith('--from'))).toEqual([
      '--from=packages /app/node_modules node_modules',
      '--from=build /app/dist dist',
    ])
    expect(stages[1]?.map(({ text }) => text).join('\n')).toContain('npm ci --omit=dev')
    expect(of('COPY').join('\n')).not.toMatch(/\bsrc\b/)
  })

  it('is not run by root, in a directory that agents cannot write', () => {
    expect(of('USER')).toEqual(['node'])
    expect(final.at(-1)?.name).toBe('CMD')
    expect(final.findIndex(({ name }) => name === 'USER')).toBeGreaterThan(
      final.findLastIndex(({ name }) => name === 'RUN'),
    )
    expect(of('WORKDIR')).toEqual(['/app'])
    expect(of('RUN').join('\n')).toContain('chown node:node /data /workspaces')
  })

  it('runs drover, with data and workspaces where compose mounts them', () => {
    expect(of('ENTRYPOINT')).toEqual(['["drover"]'])
    expect(of('RUN').join('\n')).toContain('exec node /app/dist/cli/main.js')
    expect(of('ENV').join(' ')).toContain('DROVER_DATA_DIR=/data DROVER_WORKSPACE_ROOTS=/workspaces')
  })

  it('has what the package ships and the program reads', () => {
    for (const name of ['migrations', 'agents', 'agent_specs.json', 'examples', 'package.json']) {
      expect(of('COPY').join(' ').split(' ')).toContain(name)
    }
  })
})

describe('the context', () => {
  const allowed = read('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))

  it('is nothing but what is named', () => {
    expect(allowed[0]).toBe('*')
    expect(allowed.slice(1).every((line) => line.startsWith('!'))).toBe(true)
    for (const name of ['!.env', '!data', '!.git', '!node_modules', '!dist'])
      expect(allowed).not.toContain(name)
  })

  it('has everything that the image copies, and all of it exists', () => {
    expect(copied.length).toBeGreaterThan(8)
    expect(copied.filter((name) => !allowed.includes(`!${name}`))).toEqual([])
    expect(copied.filter((name) => !existsSync(resolve(ROOT, name)))).toEqual([])
  })
})

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DroverError } from '../../src/core/errors.ts'
import { loadScript, parseScript } from '../../src/rehearsal/load-script.ts'
import { SCRIPT_KEYS } from '../../src/rehearsal/script.ts'

const SHIPPED = fileURLToPath(new URL('../../examples/rehearsals', import.meta.url))
const shipped = (await readdir(SHIPPED)).map((file) => file.replace('.yaml', ''))

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'drover-script-'))
})
afterEach(() => rm(dir, { recursive: true }))

const MINIMAL = "description: mine\nagents: { '*': [{ text: hello }] }\n"

function refusal(text: string): string {
  try {
    parseScript(text, 'x.yaml')
  } catch (error) {
    if (error instanceof DroverError && error.code === 'invalid_request') return error.message
    throw error
  }
  throw new Error('the script was taken')
}

describe('loadScript', () => {
  test.each(shipped)('the shipped script %s is valid and says what it plays', async (name) => {
    const script = await loadScript(name)
    expect(script.name).toBe(name)
    expect(script.description).toMatch(/\.$/)
  })

  test('docs/rehearsal.md describes every shipped script and every key, and no others', async () => {
    const text = await readFile(fileURLToPath(new URL('../../docs/rehearsal.md', import.meta.url)), 'utf8')
    const firstColumn = (heading: string): string[] => {
      const section = text.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
      const cells = [...section.matchAll(/^\| (`.*?) \|/gm)].map(([, cell]) => cell ?? '')
      return cells
        .flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? ''))
        .toSorted()
    }
    expect(firstColumn('Shipped scripts')).toEqual(shipped.toSorted())
    expect(firstColumn('Writing a script')).toEqual(SCRIPT_KEYS.toSorted())
  })

  test('finds a name in the given directories before the shipped ones', async () => {
    await writeFile(join(dir, 'default.yaml'), MINIMAL)
    await writeFile(join(dir, 'other.yml'), MINIMAL)
    expect((await loadScript('default', { dirs: [join(dir, 'missing'), dir] })).description).toBe('mine')
    expect((await loadScript('other', { dirs: [dir] })).file).toBe(join(dir, 'other.yml'))
  })

  test('takes a path', async () => {
    await writeFile(join(dir, 'mine.yaml'), MINIMAL)
    expect(await loadScript(join(dir, 'mine.yaml'))).toMatchObject({ name: 'mine', description: 'mine' })
  })

  test('a name that does not exist is answered with the near one, or with all of them', async () => {
    await expect(loadScript('overloded')).rejects.toThrow('Did you mean "overloaded"?')
    await expect(loadScript('something-else')).rejects.toThrow('Known: api-error, cache-tokens, cut')
  })

  test('a path that cannot be read is a sentence', async () => {
    await expect(loadScript(join(dir, 'none.yaml'))).rejects.toThrow(
      `${join(dir, 'none.yaml')} does not exist.`,
    )
    await expect(loadScript(dir)).rejects.toThrow('is a directory, not a file.')
  })
})

describe('parseScript', () => {
  test('fills in what is not given', () => {
    const turn = { latency_ms: 0, faults: [] }
    const none = { input_tokens: 0, output_tokens: 0, cache_read_tokens: 0, cache_creation_tokens: 0 }
    const text =
      'description: x\nagents: { a: [{ tools: [{ name: Read }] }, { text: b, usage: { output_tokens: 3 } }] }'
    expect(parseScript(text, 'x.yaml').agents).toEqual({
      a: [
        { ...turn, tools: [{ name: 'Read', input: {} }], usage: none },
        { ...turn, text: 'b', usage: { ...none, output_tokens: 3 } },
      ],
    })
  })

  test('lists every problem with its line and its key', () => {
    const message = refusal(
      [
        'descripton: x',
        'agents:',
        '  Foo:',
        '    - text: hi',
        '  architect:',
        '    - tools:',
        '        - name: Write',
        '          inptu: { a: 1 }',
        '    - usage: { input_tokens: 0.5 }',
        '    - text: "hello {{nme}}"',
        '      latency_ms: -1',
        '      faults:',
        '        - status: 500',
        '        - { cut_after_chunks: 3, status: 500 }',
        '        - { status: 500, retry_after_seconds: 3, times: 0 }',
        '      tools:',
        '        - { name: X, input: { a: ["{{foo}}"] } }',
      ].join('\n'),
    )
    expect(message.split('\n').slice(1)).toEqual([
      '  - x.yaml:1: description is required',
      '  - x.yaml:1: descripton is not a known key; did you mean "description"?',
      expect.stringContaining('x.yaml:3: agents.Foo must be an agent type'),
      expect.stringContaining('x.yaml:5: agents.architect must end with a turn of text only'),
      '  - x.yaml:8: agents.architect.0.tools.0.inptu is not a known key; did you mean "input"?',
      '  - x.yaml:9: agents.architect.1.usage.input_tokens must be a whole number',
      '  - x.yaml:9: agents.architect.1 needs text, tools or both',
      expect.stringContaining('x.yaml:10: agents.architect.2.text has the unknown placeholder {{nme}}'),
      '  - x.yaml:11: agents.architect.2.latency_ms must not be negative',
      expect.stringContaining('x.yaml:12: agents.architect.2.faults need times in all but the last one'),
      '  - x.yaml:14: agents.architect.2.faults.1 needs either status or cut_after_chunks',
      '  - x.yaml:15: agents.architect.2.faults.2.times must be 1 to 1000',
      '  - x.yaml:15: agents.architect.2.faults.2.retry_after_seconds goes with status 429 only',
      expect.stringContaining(
        'x.yaml:17: agents.architect.2.tools.0.input has the unknown placeholder {{foo}}',
      ),
    ])
  })

  test.each([
    ['', 'x.yaml:1: must be a map with description and agents'],
    ['- a', 'x.yaml:1: must be a map with description and agents'],
    ['description: x\nagents: [a]', 'x.yaml:2: agents must be a map from agent types to lists of turns'],
    ['description: x\nagents: {}', 'x.yaml:2: agents must name an agent type'],
    ["description: x\nagents: { '*': [] }", 'x.yaml:2: agents.* needs at least one turn'],
    ["description: x\nagents:\n  '*': { text: a }", 'x.yaml:3: agents.* must be a list of turns'],
    [
      "description: x\nagents:\n  '*':\n    - text: a\n      faults: { status: 500 }",
      ':5: agents.*.0.faults must be a list',
    ],
    ['description: x\nagents: {a: [}', 'x.yaml:2: is not valid YAML:'],
    ['description: x\nagents: {}\ndescription: y', 'x.yaml:3: is not valid YAML: Map keys must be unique'],
    ['description: *x\nagents: {}', 'is not valid YAML: Unresolved alias'],
  ])('refuses %j with a sentence', (text, sentence) => {
    expect(refusal(text)).toContain(sentence)
  })
})

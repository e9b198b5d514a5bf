/**
 * What is published about the configuration equals what the code does. After a change of the code:
 * `npx vitest run test/config/published.test.ts --update` rewrites the files.
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { parse as parseToml } from 'smol-toml'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { RELATIONS } from '../../src/config/relations.ts'
import { listSettings } from '../../src/config/settings.ts'
import { loadAgentSpecs } from '../../src/config/spec-file.ts'
import { agentSpecsJsonSchema, SPEC_KEYS } from '../../src/config/spec-schema.ts'
import { tempDir } from './files.ts'

const SCHEMA = top('agent_specs.schema.json')
const CONFIGURATION = top('docs/configuration.md')
const AGENT_TYPES = top('docs/agent-types.md')

function top(name: string): string {
  return fileURLToPath(new URL(`../../${name}`, import.meta.url))
}

async function formatted(text: string, path: string): Promise<string> {
  return format(text, { ...(await resolveConfig(path)), filepath: path })
}

/** The page with what stands between `<!-- name -->` and `<!-- /name -->` replaced. */
function withSection(page: string, name: string, text: string): string {
  const section = new RegExp(`(<!-- ${name} -->)[^]*(<!-- /${name} -->)`)
  expect(page).toMatch(section)
  return page.replace(section, (_, begin: string, end: string) => `${begin}\n\n${text}\n\n${end}`)
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

const code = (text: string): string => `\`${text}\``

/** The fenced blocks of a language. */
function blocks(page: string, language: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\`$`, 'gm'))].map(
    ([, block = '']) => block,
  )
}

describe('docs/configuration.md', () => {
  test('has every setting as it is, and the rules between them', async () => {
    const place = { cwd: '/here', hostname: 'host', pid: 1 }
    const rows = listSettings().map(({ key, setting }) => [
      setting.inFile ? code(key) : '–',
      code(setting.env),
      setting.flag === null ? '' : code(setting.flag),
      setting.fallbackText ?? code(String(setting.fallback(place))),
      setting.description,
    ])
    const settings = table(['`drover.toml`', 'environment', 'flag', 'default', 'what it is'], rows)
    const relations = RELATIONS.map(
      ({ left, sentence, right }) => `- \`${left}\` ${sentence} \`${right}\`.`,
    ).join('\n')

    const page = await readFile(CONFIGURATION, 'utf8')
    const current = withSection(withSection(page, 'settings', settings), 'relations', relations)
    await expect(await formatted(current, CONFIGURATION)).toMatchFileSnapshot(CONFIGURATION)
  })

  test('has examples that load', async () => {
    const examples = blocks(await readFile(CONFIGURATION, 'utf8'), 'toml')
    expect(examples).toHaveLength(2)
    for (const example of examples) {
      const dir = tempDir({ 'drover.toml': example })
      const { sources } = loadConfig({ env: {}, cwd: dir })
      const fromFile = [...sources.values()].filter(({ source }) => source.endsWith('drover.toml'))
      expect(fromFile).toHaveLength(leaves(parseToml(example)))
    }
  })
})

function leaves(value: unknown): number {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 1
  return Object.values(value).reduce((sum: number, member) => sum + leaves(member), 0)
}

describe('agent_specs.schema.json', () => {
  test('is the schema that the file is checked with', async () => {
    const schema = await formatted(JSON.stringify(agentSpecsJsonSchema()), SCHEMA)
    await expect(schema).toMatchFileSnapshot(SCHEMA)
  })

  test('is in the package beside the file that names it', async () => {
    const { $schema } = JSON.parse(await readFile(top('agent_specs.json'), 'utf8'))
    const { files } = JSON.parse(await readFile(top('package.json'), 'utf8'))
    expect(files).toEqual(expect.arrayContaining(['agent_specs.json', $schema.replace('./', '')]))
  })
})

describe('docs/agent-types.md', () => {
  test('has every key of a spec with its default, the shipped types and their templates', async () => {
    const page = await readFile(AGENT_TYPES, 'utf8')
    const properties = specProperties()
    expect(Object.keys(properties)).toEqual(SPEC_KEYS)
    const keys = Object.entries(properties).map(([key, { default: fallback, description }]) => [
      code(key),
      fallback === undefined ? 'required' : code(JSON.stringify(fallback)),
      description,
    ])
    const specs = [...loadAgentSpecs({ path: null, cwd: tempDir() }).specs.values()]
    const templates = specs.flatMap((spec) =>
      spec.templates.map(({ name, text, variables, required }) => [
        code(spec.name),
        code(name),
        code(text.split('\n', 1)[0] ?? ''),
        variables.map((one) => (required.includes(one) ? code(one) : `[${code(one)}]`)).join(', '),
      ]),
    )
    const shipped = specs.map((spec) => [
      code(spec.name),
      spec.description,
      code(spec.model),
      spec.allowedTools.map(code).join(', '),
      `${spec.timeout} s`,
    ])
    const sections = {
      keys: table(['key', 'default', 'what it does'], keys),
      shipped: table(['type', 'what it is for', 'model', 'tools', 'timeout'], shipped),
      templates: table(
        ['type', 'template', 'begins with', 'variables (in brackets: may be left out)'],
        templates,
      ),
    }
    const current = Object.entries(sections).reduce(
      (text, [name, section]) => withSection(text, name, section),
      page,
    )
    await expect(await formatted(current, AGENT_TYPES)).toMatchFileSnapshot(AGENT_TYPES)
  })

  test('has an example that loads', async () => {
    const [example = ''] = blocks(await readFile(AGENT_TYPES, 'utf8'), 'json')
    const dir = tempDir({ 'agent_specs.json': example })
    expect([...loadAgentSpecs({ path: null, cwd: dir }).specs.keys()]).toEqual([
      'translator',
      'release_manager',
    ])
  })
})

interface Property {
  readonly description: string
  readonly default?: unknown
}

function specProperties(): Record<string, Property> {
  const schema: {
    properties?: { agent_types?: { additionalProperties?: { properties?: Record<string, Property> } } }
  } = agentSpecsJsonSchema()
  return schema.properties?.agent_types?.additionalProperties?.properties ?? {}
}

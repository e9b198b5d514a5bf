import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cliOfFile } from './cli-of-file.ts'

const { board, cli } = await cliOfFile()
const nobody = { DROVER_URL: 'http://127.0.0.1:1' }

describe('with a board', () => {
  test('list shows what was announced, and how busy it is', async () => {
    await board.spawn()
    const { code, stdout, stderr } = await cli.run(['types', 'list'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^agent type +model +now +description\n/)
    expect(stdout).toMatch(/architect +opus +0 active, 1 waiting +For tests\n/)
    const { document } = await cli.json(['types', 'list'])
    expect(document.agent_types.map((type: { name: string }) => type.name)).toEqual([
      'architect',
      'code_developer',
    ])
  })

  test('show shows one, or says which is near', async () => {
    expect((await cli.run(['types', 'show', 'architect'])).stdout).toMatch(
      /^agent type architect\nwhat +For tests\n/,
    )
    const { code, stderr } = await cli.run(['types', 'show', 'architekt'])
    expect(stderr).toContain('Did you mean "architect"?')
    expect(code).toBe(2)
  })
})

describe('without a board', () => {
  test('the spec file answers, and that is said', async () => {
    const list = await cli.run(['types', 'list'], { env: nobody })
    expect(list.code).toBe(0)
    expect(list.stdout).toMatch(/^agent type +model +description\n/)
    expect(list.stderr).toMatch(
      /^Nobody answers at http:\/\/127\.0\.0\.1:1: this is what .*agent_specs\.json says\.\n$/,
    )
    const show = await cli.json(['types', 'show', 'architect'], { env: nobody })
    expect(show.document).toMatchObject({ success: true, agent_type: { name: 'architect' } })
    expect((await cli.run(['types', 'show', 'architekt'], { env: nobody })).code).toBe(2)
  })

  test('validate lists all problems with their lines', async () => {
    const good = await cli.json(['types', 'validate'], { env: nobody })
    expect(good).toMatchObject({ code: 0, document: { success: true } })
    expect(good.document.agent_types).toContain('code_developer')

    const file = join(cli.dir, 'broken.json')
    await writeFile(
      file,
      '{"agent_types": {\n  "architect": {"model": "opus", "mcp_config": "nope.json"},\n  "Bad Name": {"description": "x", "model": "-x"}\n}}',
    )
    const { code, stdout, stderr } = await cli.run(['types', 'validate', file])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(`${file}:2: agent_types.architect.description is required`)
    expect(stderr).toMatch(
      /broken\.json:2: agent_types\.architect\.mcp_config names .*nope\.json does not exist/,
    )
    expect(stderr).toMatch(/broken\.json:3: /)
  })

  test.each([
    ['none.json', /none\.json.* does not exist/],
    ['.', /is a directory/],
  ])('validate %s is a sentence', async (file, sentence) => {
    const { code, stderr } = await cli.run(['types', 'validate', file])
    expect(stderr).toMatch(sentence)
    expect(code).toBe(2)
  })
})

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { prepareAgent } from '../../src/session/agent-file.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { specOf } from '../support/spec.ts'

let scratch: Scratch
beforeAll(async () => {
  scratch = await createScratch()
  put('shop/.git/HEAD', '')
  put('.claude/agents/outside.md', 'Not of the repository.')
  put('shop/.claude/agents/plain.md', 'You review.\n')
  put(
    'shop/.claude/agents/reviewer.md',
    '---\nname: reviewer\ndescription: Reviews\ntools: Read, Grep\nmodel: haiku\nhooks: {Stop: []}\n---\n\nYou review.\n',
  )
  put('shop/.claude/agents/broken.md', '---\ntools: {a: [}\n---\nYou.\n')
  put('shop/.claude/agents/odd.md', '---\ntools: 5\n---\nYou.\n')
  put('shop/.claude/agents/empty.md', '---\ndescription: x\n---\n')
  put('shop/src/x', '')
  put('user/agents/mine.md', 'You are mine.')
})
afterAll(() => scratch.check())

function put(name: string, text: string): void {
  const path = join(scratch.dir, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

async function prepared(agent: string, members: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
  const file = join(scratch.dir, 'agents.json')
  const at = { cwd: join(scratch.dir, 'shop/src'), userDir: join(scratch.dir, 'user') }
  const path = await prepareAgent(specOf({ agent, ...members }), at, file)
  return path === null ? null : (JSON.parse(readFileSync(path, 'utf8')) as unknown)
}

test('the file of the workspace, from any directory of its repository, without what needs trust', async () => {
  expect(await prepared('reviewer')).toEqual({
    reviewer: { description: 'Reviews', tools: ['Read', 'Grep'], model: 'haiku', prompt: 'You review.' },
  })
  expect(await prepared('plain')).toEqual({ plain: { description: '', prompt: 'You review.' } })
})

test("the user's own, where the spec loads the user's settings; the CLI's own need no file", async () => {
  expect(await prepared('mine')).toEqual({ mine: { description: '', prompt: 'You are mine.' } })
  await expect(prepared('mine', { setting_sources: [] })).rejects.toThrow('There is no agent "mine"')
  expect(await prepared('Explore')).toBeNull()
})

describe('says what is wrong', () => {
  test.each([
    [
      'reviewr',
      /There is no agent "reviewr": .*shop\/src\/\.claude\/agents has no reviewr\.md\. Did you mean "reviewer"\?/,
    ],
    ['outside', /There is no agent "outside"/],
    ['broken', /broken\.md has a head that is no YAML\./],
    ['odd', /odd\.md has a head whose tools cannot be read\./],
    ['empty', /empty\.md says nothing below its head\./],
  ])('%s', async (agent, message) => {
    await expect(prepared(agent)).rejects.toThrow(message)
  })
})

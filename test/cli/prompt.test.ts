import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkWorkspaceOption, readPrompt, readPromptIfGiven } from '../../src/cli/prompt.ts'
import { PROMPT_LIMIT_BYTES } from '../../src/core/request.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'drover-prompt-'))
})
afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

const none = { stdin: Readable.from([]) }
const file = async (name: string, content: string | Buffer): Promise<string> => {
  await writeFile(join(dir, name), content)
  return join(dir, name)
}
const refusal = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    (value) => `accepted: ${String(value)}`,
    (error: Error) => error.message,
  )

describe('a prompt', () => {
  test('comes as words, from a file, or from standard input', async () => {
    expect(await readPrompt(none, ['fix', 'the bug'], undefined)).toBe('fix the bug')
    expect(await readPrompt(none, [], await file('p.md', '-x\nGrüße\n'))).toBe('-x\nGrüße\n')
    const stdin = Readable.from([Buffer.from('Gr\xC3', 'latin1'), Buffer.from('\xBC\xC3\x9Fe', 'latin1')])
    expect(await readPrompt({ stdin }, ['-'], undefined)).toBe('Grüße')
  })

  test('is not given: a task may have it', async () => {
    expect(await readPromptIfGiven(none, [], undefined)).toBeNull()
    expect(await refusal(readPrompt(none, [], undefined))).toMatch(/^There is no prompt\./)
  })

  test('of two sources is refused', async () => {
    expect(await refusal(readPrompt(none, ['x'], await file('q.md', 'y')))).toMatch(/given twice/)
    expect(await refusal(readPrompt(none, ['-'], await file('q.md', 'y')))).toMatch(/given twice/)
  })

  test('that is empty is refused, whatever it comes from', async () => {
    const empty = await file('empty.md', ' \n')
    expect(await refusal(readPrompt(none, [''], undefined))).toMatch(/^The prompt is empty\./)
    expect(await refusal(readPrompt(none, [], empty))).toBe(
      `The prompt file ${empty} is empty. Say what the agent is to do.`,
    )
    expect(await refusal(readPrompt(none, ['-'], undefined))).toMatch(/on standard input is empty/)
  })

  test('of exactly 10 MB is taken, one byte more is refused', async () => {
    const most = await file('most.md', Buffer.alloc(PROMPT_LIMIT_BYTES, 'x'))
    expect(await readPrompt(none, [], most)).toHaveLength(PROMPT_LIMIT_BYTES)
    const more = await file('more.md', Buffer.alloc(PROMPT_LIMIT_BYTES + 1, 'x'))
    expect(await refusal(readPrompt(none, [], more))).toMatch(/more than 10 MB/)
  })

  test('without an end is read no further than the limit', async () => {
    let read = 0
    const endless = Readable.from(
      (function* () {
        for (;;) {
          read += 1024 * 1024
          yield Buffer.alloc(1024 * 1024, 'x')
        }
      })(),
    )
    expect(await refusal(readPrompt({ stdin: endless }, ['-'], undefined))).toMatch(/more than 10 MB/)
    expect(read).toBeLessThan(2 * PROMPT_LIMIT_BYTES)
  })

  test('that is no text is refused', async () => {
    const binary = await file('binary', Buffer.from([0xff, 0xfe, 0x00]))
    expect(await refusal(readPrompt(none, [], binary))).toMatch(/is not UTF-8 text/)
  })

  test('file that cannot be read is a sentence', async () => {
    expect(await refusal(readPrompt(none, [], join(dir, 'none.md')))).toMatch(
      /^The prompt file .*none\.md cannot be read/,
    )
    expect(await refusal(readPrompt(none, [], dir))).toMatch(/is a directory/)
  })
})

describe('a workspace', () => {
  test('is an existing directory', async () => {
    expect(await checkWorkspaceOption(dir)).toBe(dir)
    expect(await refusal(checkWorkspaceOption(join(dir, 'none')))).toMatch(/does not exist/)
    expect(await refusal(checkWorkspaceOption(await file('f', '')))).toMatch(/is not a directory/)
  })
})

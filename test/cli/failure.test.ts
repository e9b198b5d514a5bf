import pc from 'picocolors'
import { expect, test } from 'vitest'
import { failureText, sayFailure } from '../../src/cli/failure.ts'
import type { Output } from '../../src/cli/output.ts'
import { DroverError, invalidRequest } from '../../src/core/errors.ts'

const noteColors = pc.createColors(false)

/** The part of an output that failures use. */
function recorder(json: boolean) {
  const documents: unknown[] = []
  const notes: string[] = []
  const output = {
    json,
    noteColors,
    answer: async (document: unknown) => void documents.push(document),
    note: (text: string) => void notes.push(text),
  } as unknown as Output
  return { output, documents, notes }
}

test('several issues stand on lines of their own', () => {
  const failure = invalidRequest([
    { path: 'prompt', message: 'must not be empty' },
    { path: '', message: 'more' },
  ])
  expect(failureText(failure, { noteColors })).toBe(
    'error: The request was refused:\n  - prompt: must not be empty\n  - more',
  )
})

test('one issue stays in the sentence', () => {
  const failure = invalidRequest([{ path: 'prompt', message: 'must not be empty' }])
  expect(failureText(failure, { noteColors })).toBe(
    'error: The request was refused: prompt: must not be empty.',
  )
})

test('what a caller or a repository wrote cannot act on the terminal', () => {
  const failure = new DroverError('invalid_request', 'There is no "\u001B[2J".')
  expect(failureText(failure, { noteColors })).toBe('error: There is no "␛[2J".')
})

test('an error that nobody expected is one line; its stack comes with debug', async () => {
  const error = new TypeError('x is not a function')
  const plain = recorder(false)
  expect(await sayFailure(error, { ...plain, program: null, args: [], debug: false })).toBe(1)
  expect(plain.notes).toEqual(['error: x is not a function (set DROVER_LOG_LEVEL=debug for the stack)'])

  const debug = recorder(false)
  await sayFailure(error, { ...debug, program: null, args: [], debug: true })
  expect(debug.notes[1]).toContain('failure.test.ts')

  const json = recorder(true)
  await sayFailure(error, { ...json, program: null, args: [], debug: false })
  expect(json.documents).toMatchObject([{ success: false, error: 'internal_error' }])
})

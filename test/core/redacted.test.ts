import { expect, test } from 'vitest'
import { createRedactor } from '../../src/core/redact.ts'
import { isPromptLost, redactWork } from '../../src/core/redacted.ts'

const redactor = createRedactor({ secrets: [{ name: 'KEY', value: 'sesame-open-1' }], known: false })
const digest = 'of what was given'

test('work that was recorded without variables only still has its prompt as it was given', () => {
  const before = { redacted: { members: ['vars.key'], digest }, prompt: null }
  const { recorded, redacted, prompt } = redactWork({ prompt: 'say sesame-open-1' }, redactor, before)
  expect(recorded).toEqual({ prompt: 'say [redacted:KEY]' })
  expect(redacted).toEqual({ members: ['vars.key', 'prompt'], digest })
  expect(prompt).toBe('say sesame-open-1')
  expect(isPromptLost(redacted, prompt)).toBe(false)
})

test('a prompt that Redis has lost is not made up of what is recorded of it', () => {
  const before = { redacted: { members: ['prompt'], digest }, prompt: null }
  const work = { prompt: '[redacted:TOKEN] sesame-open-1' }
  const { recorded, redacted, prompt } = redactWork(work, redactor, before)
  expect(recorded).toEqual({ prompt: '[redacted:TOKEN] [redacted:KEY]' })
  expect(isPromptLost(redacted, prompt)).toBe(true)
})

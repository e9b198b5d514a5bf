import { expect, it } from 'vitest'
import { agentPrompt } from '../../src/core/agent-prompt.ts'

const session = { prompt: 'Write the spec.', previousEnd: null, restarts: 0 }

it('is the prompt itself for the first agent', () => {
  expect(agentPrompt({ ...session, conversation: 'new' })).toBe('Write the spec.')
})

it.each([
  ['crashed', 'it crashed'],
  ['stalled', 'it no longer moved and was ended'],
  ['worker_lost', 'the machine that it ran on was lost'],
  ['hand_over', 'it was moved to another machine'],
  ['usage_limit', 'a usage limit was reached, which is over now'],
  ['restart', 'somebody asked for a restart'],
])('says what happened: %s', (previousEnd, words) => {
  const prompt = agentPrompt({ ...session, conversation: 'resumed', previousEnd, restarts: 2 })
  expect(prompt.split('\n')).toEqual([
    `Your previous process ended before the task was done: ${words} (restart 2).`,
    'If a tool call was open, its outcome is unknown: look at the files before you repeat it.',
    'Go on where you left off and finish the task. It was:',
    '',
    'Write the spec.',
  ])
})

it('does not make up what it does not know', () => {
  const prompt = agentPrompt({ ...session, conversation: 'resumed', previousEnd: 'something new' })
  expect(prompt).toMatch(/^Your previous process ended before the task was done\.\n/)
})

it('says that a conversation is gone, and tells a fork of an earlier session', () => {
  expect(agentPrompt({ ...session, conversation: 'lost' })).toContain('The earlier conversation is gone')
  const forked = agentPrompt({ ...session, conversation: 'forked' })
  expect(forked).toMatch(/^An earlier session of this task ended/)
  expect(forked).toContain('its outcome is unknown')
  expect(forked).toMatch(/Write the spec\.$/)
})

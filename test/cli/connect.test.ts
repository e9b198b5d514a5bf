import { expect, test } from 'vitest'
import { filterOf, isLoopback } from '../../src/cli/connect.ts'

test.each([
  ['http://127.0.0.1:4680', true],
  ['http://127.8.0.1', true],
  ['http://localhost:4680/', true],
  ['http://[::1]:4680', true],
  ['http://127.0.0.1.example.com', false],
  ['http://10.0.0.1:4680', false],
  ['https://drover.example.com', false],
])('%s is this machine: %s', (url, loopback) => {
  expect(isLoopback(url)).toBe(loopback)
})

test('options that were not given are not asked for', () => {
  expect(filterOf({ agentType: 'architect', limit: 5, status: undefined })).toEqual({
    agent_type: 'architect',
    limit: 5,
  })
})

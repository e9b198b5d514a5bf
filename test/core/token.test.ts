import { expect, test } from 'vitest'
import {
  newToken,
  parseToken,
  sessionOfToken,
  tokenHash,
  writeToken,
  writtenTokenProblem,
} from '../../src/core/token.ts'

const HASH = 'a'.repeat(64)

test('a token is 256 random bits, and never the same', () => {
  const tokens = Array.from({ length: 100 }, newToken)
  expect(new Set(tokens).size).toBe(100)
  for (const token of tokens) expect(token).toMatch(/^drover_token_[\w-]{43}$/)
})

test('a written token is read as it was written', () => {
  const token = { name: 'ci', scopes: ['read', 'submit'], hash: tokenHash(newToken()) } as const
  expect(writtenTokenProblem(writeToken(token))).toBeNull()
  expect(parseToken(writeToken(token))).toEqual(token)
})

test.each([
  ['ci', /name:scope\+scope:hash/],
  ['ci:read', /name:scope\+scope:hash/],
  [`ci:read:${HASH}:x`, /name:scope\+scope:hash/],
  [`:read:${HASH}`, /a name has/],
  [`-x:read:${HASH}`, /a name has/],
  [`ci::${HASH}`, /no scope ""/],
  [`ci:reed:${HASH}`, /did you mean "read"/],
  [`ci:read+all:${HASH}`, /no scope "all"/],
  [`ci:read:${HASH.toUpperCase()}`, /64 hex digits/],
  [`ci:read:${newToken()}`, /holds a token itself/],
])('%s is refused', (written, problem) => {
  expect(writtenTokenProblem(written)).toMatch(problem)
  expect(writtenTokenProblem(written)).not.toContain('drover_token_')
})

test('a session’s token names its session', () => {
  const id = crypto.randomUUID()
  const secret = 'x'.repeat(43)
  expect(sessionOfToken(`drover_session_${id}_${secret}`)).toBe(id)
  for (const other of [newToken(), `drover_session_${id}_${secret}x`, `drover_session_x_${secret}`, ''])
    expect(sessionOfToken(other)).toBeNull()
})

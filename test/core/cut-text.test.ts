import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { cutText, quoteText } from '../../src/core/cut-text.ts'

test('a short text stays, a long one says how long it was', () => {
  expect(cutText('short', 5)).toBe('short')
  expect(cutText('x'.repeat(100), 50)).toBe(`${'x'.repeat(19)} … [cut: 100 characters in all]`)
})

test('never longer than the limit, and always well-formed', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), fc.nat(100), (text, limit) => {
      const cut = cutText(text, limit)
      expect(cut.length).toBeLessThanOrEqual(limit)
      expect(cut.isWellFormed()).toBe(true)
      expect(cut === text).toBe(text.length <= limit && text.isWellFormed())
    }),
  )
  expect(cutText('x\uD83D', 10)).toBe('x\uFFFD')
})

test('what is quoted in a sentence has no line breaks and no terminal escapes', () => {
  expect(quoteText('  Error:\r\n\tnot\u0000 found\u001B[31m\u2028 ')).toBe('Error: not found [31m')
  expect(quoteText('x'.repeat(10_000))).toHaveLength(500)
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(quoteText(text)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u)
    }),
  )
})

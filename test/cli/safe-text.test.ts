import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cut, shownText, visible, visibleLines } from '../../src/cli/safe-text.ts'

describe('visible', () => {
  test.each([
    ['\u001B[2J\u001B]0;title\u0007', '␛[2J␛]0;title␇'],
    ['a\tb', 'a  b'],
    ['a\nb\r', 'a␊b␍'],
    ['\u007F\u009B1m', '␡<009B>1m'],
    ['\u202Etxt.exe', '<202E>txt.exe'],
    ['zero\u200Bwidth', 'zero<200B>width'],
    ['lone \uD800', 'lone <D800>'],
    ['Grüße 你好 👋', 'Grüße 你好 👋'],
  ])('%j → %s', (text, shown) => {
    expect(visible(text)).toBe(shown)
  })

  test('leaves nothing that a terminal acts on', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(visible(text)).not.toMatch(/[\p{Cc}\p{Cs}]/u)
      }),
    )
  })
})

test('line ends stay line ends', () => {
  expect(visibleLines('a\r\nb\n\u001Bc')).toEqual(['a', 'b', '␛c'])
})

test('text for a program is left as it is', () => {
  expect(shownText('\u001B[1m', false)).toBe('\u001B[1m')
  expect(shownText('\u001B[1m', true)).toBe('␛[1m')
})

describe('cut', () => {
  test('says that something is missing', () => {
    expect(cut('abcdef', 4)).toBe('abc…')
    expect(cut('abcd', 4)).toBe('abcd')
    expect(cut('abcd', Number.POSITIVE_INFINITY)).toBe('abcd')
  })

  test('never cuts a character in two, nor is longer than asked', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 20 }), (text, width) => {
        const short = cut(text, width)
        expect(short.isWellFormed()).toBe(text.isWellFormed())
        expect(Array.from(short).length).toBeLessThanOrEqual(width)
      }),
    )
  })
})

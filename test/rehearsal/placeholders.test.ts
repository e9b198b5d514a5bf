import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { fill, unknownPlaceholders } from '../../src/rehearsal/placeholders.ts'

const values = { prompt: 'write a spec', message: 'go on', agent_type: 'architect', session_id: 'b2c3' }

test('fills every string of a value, however deep, and nothing else', () => {
  const value = { command: 'echo "{{prompt}}"', n: 1, list: [{ a: '{{ agent_type }}' }, null, true] }
  expect(fill(value, values)).toEqual({
    command: 'echo "write a spec"',
    n: 1,
    list: [{ a: 'architect' }, null, true],
  })
})

test('does not search again what was filled in', () => {
  expect(fill('{{prompt}}', { ...values, prompt: '{{session_id}}' })).toBe('{{session_id}}')
  expect(fill('{{prompt}}', { ...values, prompt: '$& $1' })).toBe('$& $1')
})

test('a backslash keeps the braces, and braces around anything else are no placeholder', () => {
  expect(fill('\\{{prompt}} ${{ github.ref }} {{}} {prompt}', values)).toBe(
    '{{prompt}} ${{ github.ref }} {{}} {prompt}',
  )
  expect(unknownPlaceholders('\\{{name}} ${{ github.ref }} {{ }}')).toEqual([])
})

test('names the placeholders that do not exist', () => {
  expect(unknownPlaceholders({ a: ['{{prmpt}}', '{{prompt}}'], b: 'x {{ name }}' })).toEqual([
    'prmpt',
    'name',
  ])
})

test('a text without double braces stays as it is', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const plain = text.replaceAll('{{', '')
      expect(fill(plain, values)).toBe(plain)
    }),
  )
})

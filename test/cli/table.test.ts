import pc from 'picocolors'
import { expect, test } from 'vitest'
import { table } from '../../src/cli/table.ts'

test('columns under heads, without lines and without blanks at the end', () => {
  const rows = [
    ['architect', 'opus'],
    ['code_developer', 'sonnet'],
  ]
  expect(table(['agent type', 'model'], rows)).toBe(
    ['agent type      model', 'architect       opus', 'code_developer  sonnet'].join('\n'),
  )
})

test('colours take no room', () => {
  const { red } = pc.createColors(true)
  const lines = table(
    ['status', 'task'],
    [
      [red('failed'), 'A'],
      ['completed', 'B'],
    ],
  ).split('\n')
  expect(lines[1]).toBe(`${red('failed')}     A`)
})

test('with a width the last column is cut', () => {
  const text = table(['id', 'prompt'], [['1', 'x'.repeat(100)]], 30)
  expect(text.split('\n')[1]).toBe(`1   ${'x'.repeat(25)}…`)
})

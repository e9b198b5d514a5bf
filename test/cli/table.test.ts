import pc from 'picocolors'
import { expect, test } from 'vitest'
import { table, textTable } from '../../src/cli/table.ts'

const PIPE = { width: 100, isTerminal: false }
const terminal = (width: number) => ({ width, isTerminal: true })

test('columns under heads, without lines and without blanks at the end', () => {
  const rows = [
    ['architect', 'opus'],
    ['code_developer', 'sonnet'],
  ]
  expect(table(['agent type', 'model'], rows, PIPE)).toBe(
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
    PIPE,
  ).split('\n')
  expect(lines[1]).toBe(`${red('failed')}     A`)
})

test('a text in the last column is cut', () => {
  const text = textTable(['id', 'prompt'], [['1', 'x'.repeat(100)]], { width: 30, isTerminal: false })
  expect(text.split('\n')[1]).toBe(`1   ${'x'.repeat(25)}…`)
})

const ID = 'b2c3d4e5-f6a7-4901-8bcd-ef1234567890'
const HEADS = ['session', 'agent type', 'status', 'prompt']
const ROWS = [
  [ID, 'code_developer', 'completed', 'Implement docs/SPEC.md'],
  [ID, 'architect', 'waiting_workspace', ''],
]

test('on a terminal that is too narrow ids are shortened first', () => {
  expect(textTable(HEADS, ROWS, terminal(70)).split('\n')).toEqual([
    'session   agent type      status             prompt',
    'b2c3d4e5  code_developer  completed          Implement docs/SPEC.md',
    'b2c3d4e5  architect       waiting_workspace',
  ])
})

test('what does not fit stands below its row, and no line is longer than the terminal', () => {
  const text = textTable(HEADS, ROWS, terminal(44))
  expect(text.split('\n')).toEqual([
    'session   agent type      status',
    '    prompt',
    'b2c3d4e5  code_developer  completed',
    '    Implement docs/SPEC.md',
    'b2c3d4e5  architect       waiting_workspace',
  ])
})

test('a pipe gets every id in whole', () => {
  expect(table(HEADS, ROWS, { width: 40, isTerminal: false })).toContain(`${ID}  code_developer  completed`)
})

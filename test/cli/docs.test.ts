/** `docs/cli.md` and the program say the same. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Readable } from 'node:stream'
import type { CommandUnknownOpts } from '@commander-js/extra-typings'
import { describe, expect, test } from 'vitest'
import { COMMANDS } from '../../src/cli/commands.ts'
import { createOutput } from '../../src/cli/output.ts'
import { createProgram } from '../../src/cli/program.ts'
import { EXIT } from '../../src/core/errors.ts'

const page = readFileSync(resolve(import.meta.dirname, '../../docs/cli.md'), 'utf8')

const program = createProgram(
  {
    env: {},
    cwd: '/',
    stdin: Readable.from([]),
    output: createOutput({ stdout: process.stdout, stderr: process.stderr, env: {}, json: false }),
    version: '0.0.0',
    setExitCode: () => {},
    takeSignals: () => new AbortController().signal,
  },
  COMMANDS,
)

interface Leaf {
  /** `drover tasks add <agent_type> [prompt...]` */
  readonly usage: string
  readonly command: CommandUnknownOpts
}

function leaves(command: CommandUnknownOpts, path = 'drover'): Leaf[] {
  if (command.commands.length > 0)
    return command.commands.flatMap((sub) => leaves(sub, `${path} ${sub.name()}`))
  const args = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? '...' : ''}`
    return argument.required ? `<${name}>` : `[${name}]`
  })
  return [{ usage: [path, ...args].join(' '), command }]
}

const documented = new Map(
  page
    .split(/^##+ /m)
    .map((section) => [/^`(drover [^`]+)`/.exec(section)?.[1], section] as const)
    .filter(([usage]) => usage !== undefined),
)
const flagsOf = (command: CommandUnknownOpts): string[] =>
  command.options.filter((option) => !option.hidden).map((option) => option.flags.replace(/^-\w, /, ''))

test('every command has its section, and every section its command', () => {
  expect(new Set(documented.keys())).toEqual(new Set(leaves(program).map(({ usage }) => usage)))
})

test('the help of every command ends with examples of it', () => {
  for (const { usage, command } of leaves(program)) {
    let help = ''
    command.configureOutput({ writeOut: (text) => void (help += text) })
    command.outputHelp()
    const name = usage.split(/ [<[]/, 1)[0] ?? ''
    expect(help).toContain(`Usage: ${name}`)
    expect(help.split('\nExamples:\n')[1] ?? usage).toMatch(new RegExp(`^ {2}\\$ .*${name}\\b`))
  }
})

describe('options', () => {
  test.each(leaves(program).map(({ usage, command }) => [usage, command] as const))(
    '%s',
    (usage, command) => {
      const listed = [...(documented.get(usage) ?? '').matchAll(/^\| `(--[^`]+)`/gm)].map(
        ([, flags]) => flags,
      )
      expect(listed).toEqual(flagsOf(command))
    },
  )

  test('of every command', () => {
    for (const flags of [...flagsOf(program), '--help'])
      expect(page).toMatch(new RegExp(`^\\| \`${flags}\``, 'm'))
  })
})

test('every exit code', () => {
  for (const code of Object.values(EXIT)) expect(page).toMatch(new RegExp(`^\\| ${code} `, 'm'))
})

import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { watchSpecs, type SpecWatch } from '../../src/config/watch-specs.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { until } from '../support/until.ts'

let scratch: Scratch
let watch: SpecWatch
const read: string[][] = []
const problems: (string | null)[] = []
beforeEach(async () => {
  scratch = await createScratch()
  read.length = 0
  problems.length = 0
})
afterEach(async () => {
  watch.stop()
  await scratch.check()
})

const textOf = (...names: string[]): string =>
  JSON.stringify({
    agent_types: Object.fromEntries(names.map((name) => [name, { description: name, model: 'opus' }])),
  })

function start(path: string | null): void {
  watch = watchSpecs({
    path,
    cwd: scratch.dir,
    lookMs: 10,
    onChange: ({ specs }) => void read.push([...specs.keys()]),
    onProblem: (problem) => void problems.push(problem),
  })
}
const reads = (count: number): Promise<unknown> =>
  until(() => read.length === count, { message: 'it is read' })

test('a file that is written, replaced by a rename, or comes to be', async () => {
  const file = join(scratch.dir, 'agent_specs.json')
  start(null)
  writeFileSync(file, textOf('one'))
  await reads(1)
  writeFileSync(file, textOf('one', 'two'))
  await reads(2)
  writeFileSync(`${file}.new`, textOf('three'))
  renameSync(`${file}.new`, file)
  await reads(3)
  expect(read).toEqual([['one'], ['one', 'two'], ['three']])
  expect(problems).toEqual([])
})

test('a broken file is said once, with all its problems, and changes nothing; so is one that is gone, or cannot be looked at', async () => {
  const file = join(scratch.dir, 'team.json')
  writeFileSync(file, textOf('one'))
  start('team.json')
  writeFileSync(file, '{"agent_types": {"one": {"modle": "opus", "timeout": -1}}}')
  await until(() => problems.length === 1, { message: 'it is said' })
  expect(problems[0]).toMatch(/timeout must be.*modle is not a key of agent specs; did you mean "model"/s)
  writeFileSync(file, textOf('one', 'two'))
  await reads(1)
  rmSync(file)
  await until(() => problems.length === 3, { message: 'it is said' })
  expect(problems[1]).toBeNull()
  expect(problems[2]).toMatch(/does not exist/)
  // What cannot even be looked at ends no pod.
  symlinkSync('team.json', file)
  await until(() => problems.length === 4, { message: 'it is said' })
  expect(problems[3]).toMatch(/symbolic link that leads to itself/)
})

/**
 * `npm run test:mutants -- [names…]`: plants each bug in a copy of the sources, builds it, and runs the tests of the
 * fault matrix that must notice. Exit code 1 where one is not noticed, or where a test fails without any bug.
 */
import { readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { EXIT, messageOf } from '../../src/core/errors.ts'
import { makeCopy, type Copy } from './copy.ts'
import { MUTANTS, type Mutant } from './mutants.ts'

const say = (text: string): void => void process.stdout.write(`${text}\n`)

interface Run {
  /** Titles of the tests that failed, or of the files that did. */
  readonly failed: readonly string[]
  readonly ms: number
}

/** What vitest's JSON reporter says, as far as it is read. */
interface VitestReport {
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    /** Why the file failed as a whole. */
    readonly message: string
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[]
  }[]
}

async function build(copy: Copy): Promise<void> {
  // A mutant need not please the type checker.
  const { code, output } = await copy.run(['npx', 'tsc', '-p', 'tsconfig.build.json', '--noCheck'])
  if (code !== 0) throw new Error(`the copy cannot be built:\n${output}`)
}

async function runTests(copy: Copy, file: string): Promise<Run> {
  const report = join(copy.dir, 'report.json')
  await rm(report, { force: true })
  const begun = performance.now()
  const { code, output } = await copy.run([
    'npx',
    'vitest',
    'run',
    file,
    '--reporter=json',
    `--outputFile=${report}`,
  ])
  const ms = performance.now() - begun
  if (code === 0) return { failed: [], ms }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- vitest's own
  const { testResults } = JSON.parse(
    await readFile(report, 'utf8').catch(() => {
      throw new Error(`vitest made no report:\n${output}`)
    }),
  ) as VitestReport
  const failed = testResults.flatMap(({ name, status, message, assertionResults }) => {
    const titles = assertionResults.filter((test) => test.status === 'failed').map((test) => test.fullName)
    return titles.length === 0 && status === 'failed'
      ? [`${basename(name)} as a whole: ${message.slice(0, 500)}`]
      : titles
  })
  return { failed, ms }
}

/** The files that pass without a bug: what fails anyhow says nothing about one. */
async function findSound(copy: Copy, files: ReadonlySet<string>): Promise<ReadonlySet<string>> {
  await build(copy)
  const sound = new Set<string>()
  for (const file of files) {
    const { failed, ms } = await runTests(copy, file)
    say(`${failed.length === 0 ? 'passes  ' : 'FAILS   '} without a bug (${seconds(ms)}): ${file}`)
    for (const title of failed) say(`    ${title}`)
    if (failed.length === 0) sound.add(file)
  }
  return sound
}

/** One file after the other, each to its end: one that is broken off would leave its processes. */
async function isCaught(copy: Copy, mutant: Mutant, sound: ReadonlySet<string>): Promise<boolean> {
  await copy.edit(mutant.edits)
  try {
    await build(copy)
    let ms = 0
    for (const file of mutant.tests.filter((name) => sound.has(name))) {
      const run = await runTests(copy, file)
      ms += run.ms
      if (run.failed.length === 0) continue
      say(`caught   ${mutant.name} (${seconds(ms)}): ${mutant.what}`)
      for (const title of run.failed.slice(0, 3)) say(`    ${title}`)
      return true
    }
    say(`SURVIVED ${mutant.name} (${seconds(ms)}): ${mutant.what}`)
    return false
  } finally {
    await copy.restore()
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(0)} s`

async function main(): Promise<number> {
  const names = process.argv.slice(2)
  const unknown = names.find((name) => !MUTANTS.some((mutant) => mutant.name === name))
  if (unknown !== undefined) {
    say(`There is no mutant "${unknown}"; there are ${MUTANTS.map(({ name }) => name).join(', ')}.`)
    return EXIT.usage
  }
  const mutants = MUTANTS.filter(({ name }) => names.length === 0 || names.includes(name))
  const copy = await makeCopy()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void copy.remove().finally(() => process.exit(EXIT.interrupted)))
  }
  try {
    const files = new Set(mutants.flatMap(({ tests }) => tests))
    const sound = await findSound(copy, files)
    let caught = 0
    for (const mutant of mutants) if (await isCaught(copy, mutant, sound)) caught++
    say(`${caught} of ${mutants.length} planted bugs were caught`)
    return sound.size === files.size && caught === mutants.length ? EXIT.ok : EXIT.failed
  } finally {
    await copy.remove()
  }
}

process.exitCode = await main().catch((error: unknown) => {
  say(messageOf(error))
  return EXIT.failed
})

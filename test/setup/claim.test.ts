import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { claim } from '../../src/setup/claim.ts'
import { identityOf, isRunning } from '../../src/setup/identity.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'

let scratch: Scratch
let file: string
beforeEach(async () => {
  scratch = await createScratch()
  file = join(scratch.dir, 'owner.json')
})
afterEach(() => scratch.check())

const module = JSON.stringify(join(import.meta.dirname, '../../src/setup/claim.ts'))

/** Claims, says how it went, and lives until its stdin ends. */
function claimer() {
  const script = `import { claim } from ${module}
    const result = await claim(${JSON.stringify(file)})
    console.log('release' in result ? 'claimed' : 'refused')
    process.stdin.resume()`
  return execa(process.execPath, ['--input-type=module-typescript', '--eval', script], {
    reject: false,
    env: scratch.env,
  })
}

async function firstLine(child: ReturnType<typeof claimer>): Promise<string> {
  const [chunk]: unknown[] = await once(child.stdout, 'data')
  return String(chunk).trim()
}

it('is refused while its owner lives, and free after the release', async () => {
  const mine = await claim(file)
  const other = claimer()
  expect(await firstLine(other)).toBe('refused')
  other.kill('SIGKILL')
  await other
  if ('release' in mine) await mine.release()
  expect(await claim(file)).toHaveProperty('release')
})

it('names its owner', async () => {
  await claim(file)
  expect(await claim(file)).toEqual({ owner: await identityOf(process.pid) })
})

it.each([
  ['of a process that died', '{"pid":999999999,"start_time":"1"}'],
  ['whose pid is used again by another process', JSON.stringify({ pid: process.pid, start_time: '1' })],
  ['that is garbage', '{"pid":'],
])('takes over a claim %s', async (_case, text) => {
  await writeFile(`${file}.7`, text)
  expect(await claim(file)).toHaveProperty('release')
  expect(await readdir(scratch.dir)).toEqual(['owner.json.8', 'tmp'])
})

it('has one winner when several processes take over a dead claim at once', async () => {
  await writeFile(`${file}.1`, '{"pid":999999999,"start_time":"1"}')
  const claimers = Array.from({ length: 4 }, () => claimer())
  const answers = await Promise.all(claimers.map(firstLine))
  for (const child of claimers) child.kill('SIGKILL')
  await Promise.all(claimers)
  expect(answers.toSorted()).toEqual(['claimed', 'refused', 'refused', 'refused'])
  expect(await claim(file)).toHaveProperty('release')
})

it('has one winner in every round of many takers of one process', async () => {
  for (let round = 1; round <= 50; round++) {
    const contested = join(scratch.dir, `round-${round}`)
    await writeFile(`${contested}.1`, '{"pid":999999999,"start_time":"1"}')
    const claims = await Promise.all(Array.from({ length: 16 }, () => claim(contested)))
    expect(claims.filter((made) => 'release' in made)).toHaveLength(1)
  }
})

it('isRunning tells a process from a later one with its pid', async () => {
  const me = await identityOf(process.pid)
  expect(me).not.toBeNull()
  if (me === null) return
  expect(await isRunning(me)).toBe(true)
  expect(await isRunning({ ...me, start_time: `${me.start_time}0` })).toBe(false)
  expect(await identityOf(999_999_999)).toBeNull()
})

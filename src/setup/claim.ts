/**
 * One live process per directory: a file that names its owner by pid and start time.
 *
 * Claims are numbered, `<file>.1`, `<file>.2` …; the highest one counts. `link` makes a claim, so it appears at once
 * and complete, and only one process gets a number. A claim is never renamed or removed before a higher one exists:
 * removing a dead owner's claim by its name could hit the claim of a process that took over in that moment.
 */
import { randomUUID } from 'node:crypto'
import { link, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { z } from 'zod'
import { type ProcessIdentity, identityOf, isRunning } from './identity.ts'

export const identitySchema = z.object({ pid: z.int().positive(), start_time: z.string() })

/** A claim that was made, or the live process that has it. */
export type Claim = { readonly release: () => Promise<void> } | { readonly owner: ProcessIdentity }

/** Starters at once settle within a few rounds; more than this means that the file cannot be made. */
const ATTEMPTS = 20

/** Claims `file` for this process. The claim of a process that has died is taken over. */
export async function claim(file: string): Promise<Claim> {
  const draft = `${file}.${randomUUID()}`
  await writeFile(draft, JSON.stringify(await identityOf(process.pid)))
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const highest = Math.max(0, ...(await numbersOf(file)))
      const owner = await readIdentity(`${file}.${highest}`)
      if (owner !== null && (await isRunning(owner))) return { owner }
      const mine = highest + 1
      if ((await tryLink(draft, `${file}.${mine}`)) && (await isHighest(file, mine))) {
        return { release: () => release(`${file}.${mine}`) }
      }
    }
  } finally {
    await rm(draft, { force: true })
  }
  throw new Error(`${file} could not be claimed in ${ATTEMPTS} attempts`)
}

/** A listing that runs while claims come and go may miss some: who sees a higher one now has lost, else the lower go. */
async function isHighest(file: string, mine: number): Promise<boolean> {
  const numbers = await numbersOf(file)
  const lost = numbers.some((number) => number > mine)
  const over = lost ? [mine] : numbers.filter((number) => number < mine)
  await Promise.all(over.map((number) => rm(`${file}.${number}`, { force: true })))
  return !lost
}

/** The number stays taken: another process may just be about to take the next one. */
async function release(claimed: string): Promise<void> {
  const draft = `${claimed}.${randomUUID()}`
  await writeFile(draft, 'released')
  await rename(draft, claimed)
}

async function numbersOf(file: string): Promise<number[]> {
  const prefix = `${basename(file)}.`
  const names = await readdir(dirname(file))
  return names
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
}

/** The identity in a file; null where there is none, or something else. */
async function readIdentity(file: string): Promise<ProcessIdentity | null> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return ''
    throw error
  })
  try {
    return identitySchema.parse(JSON.parse(text))
  } catch {
    return null
  }
}

async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false
    throw error
  }
}

const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code

/** A copy of the repository to break: what is installed and fetched is shared with it, everything else its own. */
import { spawn } from 'node:child_process'
import { cp, mkdtemp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { signalAll } from '../fault/rig/processes.ts'
import { processesNaming } from '../support/leaks.ts'
import type { Edit } from './mutants.ts'

export interface Copy {
  readonly dir: string
  /** @throws where an edit's text is not there exactly once */
  edit(edits: readonly Edit[]): Promise<void>
  /** Undoes all edits. */
  restore(): Promise<void>
  /** Runs a program of the copy; resolves with its exit code and everything that it wrote. */
  run(
    args: readonly string[],
    signal?: AbortSignal,
  ): Promise<{ readonly code: number | null; readonly output: string }>
  /** Ends what still runs out of it, and removes it. */
  remove(): Promise<void>
}

const ROOT = resolve(import.meta.dirname, '../..')
/** Not copied; the first two are linked, as far as they are there. */
const SHARED = ['node_modules', join('data', 'tools')]
const LEFT_OUT = new Set(['.git', 'node_modules', 'data', 'dist', 'coverage'])

export async function makeCopy(): Promise<Copy> {
  const dir = await mkdtemp(join(tmpdir(), 'drover-mutants-'))
  await cp(ROOT, dir, { recursive: true, filter: (from) => !LEFT_OUT.has(relative(ROOT, from)) })
  await mkdir(join(dir, 'data'))
  for (const name of SHARED) await symlink(join(ROOT, name), join(dir, name))
  const originals = new Map<string, string>()

  return {
    dir,
    async edit(edits) {
      for (const { file, find, replace } of edits) {
        const path = join(dir, file)
        const text = await readFile(path, 'utf8')
        const found = text.split(find).length - 1
        if (found !== 1) {
          throw new Error(
            `${file} has this ${found} times, and should have it once; mend test/mutants:\n${find}`,
          )
        }
        if (!originals.has(path)) originals.set(path, text)
        await writeFile(
          path,
          text.replace(find, () => replace),
        )
      }
    },
    async restore() {
      for (const [path, text] of originals) await writeFile(path, text)
      originals.clear()
    },
    run: ([file = '', ...args]) =>
      new Promise((done, reject) => {
        const child = spawn(file, args, { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] })
        let output = ''
        for (const stream of [child.stdout, child.stderr]) {
          stream.setEncoding('utf8').on('data', (text: string) => (output += text))
        }
        child.on('error', reject)
        child.on('close', (code) => done({ code, output }))
      }),
    async remove() {
      // Tests end what they have started; with a bug in it, something may have escaped even them.
      const left = (await processesNaming(dir)).map(({ pid }) => pid)
      signalAll(left, 'SIGKILL')
      await rm(dir, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

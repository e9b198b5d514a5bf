/** Programs on this machine: where they are and which version they say they are. */
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'
import { execa } from 'execa'
import { messageOf } from '../core/errors.ts'

/** Long enough for a program of 360 MB on a cold disk. */
const PROBE_TIMEOUT_MS = 30_000

/** The first executable file of that name on the search path (`PATH`), or null. Relative entries are skipped. */
export async function findProgram(name: string, searchPath: string): Promise<string | null> {
  for (const dir of searchPath.split(delimiter)) {
    const file = join(dir, name)
    if (isAbsolute(dir) && (await isExecutable(file))) return file
  }
  return null
}

/** True for a regular file (or a link to one) that may be executed. */
export async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK)
    return (await stat(file)).isFile()
  } catch {
    return false
  }
}

/** What `<file> --version` says: its version, or why there is none. */
export type Probe = { readonly version: string } | { readonly problem: string }

/**
 * Runs `<file> --version` with nothing but the given environment and takes the first version number it prints. That
 * must be three numbers with dots (`7.0.15`, `2.1.329`). Never throws.
 */
export async function probeVersion(file: string, env: Readonly<Record<string, string>>): Promise<Probe> {
  try {
    const answer = await execa(file, ['--version'], {
      env,
      extendEnv: false,
      stdin: 'ignore',
      timeout: PROBE_TIMEOUT_MS,
      reject: false,
      all: true,
    })
    const version = /\d+\.\d+\.\d+/.exec(answer.stdout)?.[0]
    if (answer.exitCode === 0 && version !== undefined) return { version }
    const said = (answer.all || answer.shortMessage || 'nothing').trim().slice(-300)
    return { problem: `"${file} --version" did not answer a version number, but: ${said}` }
  } catch (error) {
    return { problem: messageOf(error) }
  }
}

/** Compares dotted numbers part by part: `atLeast('7.0.15', '6.2')` is true. */
export function atLeast(version: string, minimum: string): boolean {
  const have = version.split('.').map(Number)
  const want = minimum.split('.').map(Number)
  for (const [index, part] of want.entries()) {
    const difference = (have[index] ?? 0) - part
    if (difference !== 0) return difference > 0
  }
  return true
}

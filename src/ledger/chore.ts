/** Starts `chore-main.ts` and waits for its answer. */
import { spawn } from 'node:child_process'
import { extname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Backup } from './backup.ts'
import type { FileCheck } from './check.ts'

const MAIN = join(import.meta.dirname, `chore-main${extname(import.meta.filename)}`)

/** `checkFile`, in a process of its own. Rejects where the file cannot be opened, and when `signal` aborts. */
export function checkAside(path: string, signal: AbortSignal): Promise<FileCheck> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what chore-main.ts prints
  return run(['check', path], signal) as Promise<FileCheck>
}

/** `backup` under its default name, in a process of its own. */
export function backupAside(path: string, signal: AbortSignal): Promise<Backup> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what chore-main.ts prints
  return run(['backup', path], signal) as Promise<Backup>
}

async function run(args: readonly string[], signal: AbortSignal): Promise<unknown> {
  // Nothing of our environment: it needs none of it, and secrets may be in it.
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: {},
    stdio: ['ignore', 'pipe', 'ignore'],
    signal,
    killSignal: 'SIGKILL',
  })
  const gone = new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => resolve())
  })
  const [said] = await Promise.all([text(child.stdout), gone])
  if (said === '')
    throw new Error(
      `The ${args[0]} of the ledger ended without an answer (${child.signalCode ?? child.exitCode}).`,
    )
  const answer: { readonly ok?: unknown; readonly error?: string } = JSON.parse(said)
  if (answer.error !== undefined) throw new Error(answer.error)
  return answer.ok
}

/** `up.json` in the data directory: which `drover up` runs there, for the commands that may use it. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { identityOf, isRunning } from '../../setup/identity.ts'

const upSchema = z.object({
  pid: z.int(),
  start_time: z.string(),
  url: z.string(),
  redis_url: z.string(),
  namespace: z.string(),
  /** Directories that its sessions may work in. */
  roots: z.array(z.string()),
  agent_specs: z.string().nullable(),
  /** Name of the rehearsal script; null: the real model. */
  rehearsal: z.string().nullable(),
})
export type RunningUp = z.infer<typeof upSchema>

const fileOf = (dataDir: string): string => join(dataDir, 'up.json')

/** The `up` that runs in a data directory; null where none does, whatever a dead one left. */
export async function findUp(dataDir: string): Promise<RunningUp | null> {
  const text = await readFile(fileOf(dataDir), 'utf8').catch(() => null)
  if (text === null) return null
  try {
    const up = upSchema.parse(JSON.parse(text))
    return (await isRunning(up)) ? up : null
  } catch {
    return null
  }
}

/** Says that this process is the `up` of the directory. */
export async function announceUp(
  dataDir: string,
  up: Omit<RunningUp, 'pid' | 'start_time'>,
): Promise<{ remove(): Promise<void> }> {
  const me = await identityOf(process.pid)
  const file = fileOf(dataDir)
  // For this user only: the address of Redis may hold a password.
  await writeFile(`${file}.new`, JSON.stringify({ ...me, ...up }, null, 2), { mode: 0o600 })
  await rename(`${file}.new`, file)
  return { remove: () => rm(file, { force: true }) }
}

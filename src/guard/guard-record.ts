/**
 * The guards of this host on record: who a guard is, who its worker is, and where its agents' directories are. One
 * file each, written by the worker before an agent is started, so that a later pod can end what a pod has left that
 * was killed as a whole.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DroverError, messageOf } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import { isIdentity, thisPlace } from './place.ts'
import { identityOf, isLive, sendTo, type Identity } from './process-table.ts'
import { sweepLeftovers } from './sweep.ts'

/** A guard's file, kept true by its worker. */
export interface GuardRecord {
  /** Before an agent is started. Throws `spawn_failed` when it cannot be written. */
  add(agentDir: string): void
  /** Once nothing is left of it. */
  remove(agentDir: string): void
  /** Once nothing is left of the guard. */
  drop(): void
}

interface Contents {
  readonly place: string
  readonly guard: Identity
  readonly worker: Identity
  readonly agent_dirs: readonly string[]
}

/** Beyond this what is left of an agent hangs in the kernel, and stays on record. */
const SWEEP_LIMIT_MS = 5000
/** A record of another boot or container names nobody here; it may be of a pod that lives. */
const FOREIGN_KEPT_MS = 30 * 24 * 3600 * 1000

/** Puts a guard of this process on record. Throws `spawn_failed` when the directory cannot be written. */
export function keepGuardRecord(recordDir: string, guardPid: number): GuardRecord {
  const guard = identityOf(guardPid)
  const worker = identityOf(process.pid)
  const place = thisPlace()
  // Containers that share the directory may have the same pids; hardly the same start too.
  const file = join(recordDir, `${guard.pid}.${guard.startTime}.json`)
  const dirs = new Set<string>()
  const write = (): void => {
    const contents: Contents = { place, guard, worker, agent_dirs: [...dirs] }
    try {
      mkdirSync(recordDir, { recursive: true })
      // Whole or not at all: a reader may come at any moment.
      writeFileSync(`${file}.new`, JSON.stringify(contents), { mode: 0o600 })
      renameSync(`${file}.new`, file)
    } catch (error) {
      throw new DroverError(
        'spawn_failed',
        `The guard's record ${file} cannot be written (${messageOf(error)}). Make room or give leave to write there.`,
      )
    }
  }
  write()
  return {
    add(agentDir) {
      dirs.add(agentDir)
      write()
    },
    remove(agentDir) {
      // Not worth a write: a directory too many is swept for nothing.
      dirs.delete(agentDir)
    },
    drop: () => remove(file),
  }
}

/**
 * Ends earlier guards of this host whose workers are dead, and all their agents: to be called when a pod starts,
 * before it takes work. Guards of live workers are left alone, and so are those of other containers and hosts that
 * share the directory. Everything is ended by identity: nobody who has such a pid by now is hit. May run in several
 * pods at once. Resolves with the number of processes ended, the guards included.
 */
export async function endLeftGuards(recordDir: string): Promise<number> {
  let ended = 0
  for (const name of listRecords(recordDir)) {
    const file = join(recordDir, name)
    const contents = readRecord(file)
    if (contents === null || contents.place !== thisPlace()) {
      forgetOld(file)
      continue
    }
    if (isLive(contents.worker)) continue
    if (sendTo(contents.guard, 'SIGKILL')) ended += 1
    const counts = await Promise.all(contents.agent_dirs.map((dir) => sweepLeftovers(dir, SWEEP_LIMIT_MS)))
    ended += counts.reduce((sum, count) => sum + count, 0)
    remove(file)
  }
  return ended
}

function listRecords(recordDir: string): string[] {
  try {
    return readdirSync(recordDir).filter((name) => name.endsWith('.json'))
  } catch {
    return []
  }
}

function readRecord(file: string): Contents | null {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'))
    return isContents(value) ? value : null
  } catch {
    return null
  }
}

function isContents(value: unknown): value is Contents {
  return (
    isJsonObject(value) &&
    typeof value['place'] === 'string' &&
    isIdentity(value['guard']) &&
    isIdentity(value['worker']) &&
    Array.isArray(value['agent_dirs']) &&
    value['agent_dirs'].every((dir) => typeof dir === 'string')
  )
}

function forgetOld(file: string): void {
  const written = statSync(file, { throwIfNoEntry: false })?.mtimeMs
  if (written !== undefined && Date.now() - written > FOREIGN_KEPT_MS) remove(file)
}

/** One that stays (the disk is read-only by now) names who is gone, and is looked at when the next pod starts. */
function remove(file: string): void {
  try {
    rmSync(file, { force: true })
  } catch {
    // Nothing hangs on it.
  }
}

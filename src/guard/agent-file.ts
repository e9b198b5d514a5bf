/**
 * `processes.json` in an agent's directory: what ends its processes, for as long as it may have any. It is there
 * before the agent's first instruction, so whoever finds the directory after a crash can end what was started.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DroverError, messageOf } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import { isIdentity, thisPlace } from './place.ts'
import type { Target } from './tier.ts'

/** Keeps the agent's target. Throws `spawn_failed`. */
export function keepTarget(dir: string, target: Target): void {
  try {
    writeFileSync(fileOf(dir), JSON.stringify({ place: thisPlace(), target }), { mode: 0o600 })
  } catch (error) {
    throw new DroverError(
      'spawn_failed',
      `The agent's directory ${dir} cannot be written (${messageOf(error)}).`,
    )
  }
}

/**
 * The target of an agent that may have processes here; null for one that ended in order, or ran on another host, in
 * another container or before the last boot: its pids mean others here. A file that a crash cut is of an agent that
 * never ran.
 */
export function readTarget(dir: string): Target | null {
  try {
    const value: unknown = JSON.parse(readFileSync(fileOf(dir), 'utf8'))
    return isJsonObject(value) && value['place'] === thisPlace() && isTarget(value['target'])
      ? value['target']
      : null
  } catch {
    return null
  }
}

/** The agent has no process any more. */
export function dropTarget(dir: string): void {
  try {
    rmSync(fileOf(dir), { force: true })
  } catch {
    // One that stays finds nothing when it is swept.
  }
}

const fileOf = (dir: string): string => join(dir, 'processes.json')

function isTarget(value: unknown): value is Target {
  if (!isJsonObject(value)) return false
  switch (value['tier']) {
    case 'pid_namespace':
      return isIdentity(value['wrapper']) && isIdentity(value['init'])
    case 'cgroup':
      return typeof value['path'] === 'string'
    case 'group':
      return typeof value['mark'] === 'string' && (value['session'] === null || isIdentity(value['session']))
    default:
      return false
  }
}

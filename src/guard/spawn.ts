/** Starts one agent's process: its files, what ends it, and a sentence when it cannot be. */
import { accessSync, closeSync, constants, openSync, readlinkSync, statSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import { DroverError, messageOf } from '../core/errors.ts'
import { keepTarget } from './agent-file.ts'
import { startHeld, type HeldProcess } from './held.ts'
import { SPOOL_FILE, STDERR_FILE, type StartCommand } from './protocol.ts'
import { letGo } from './reach.ts'
import type { Tier } from './tier.ts'

/**
 * Starts the process held, in a session of its own, with a regular file as standard output: it survives the reader,
 * gives no EPIPE, and is not cut at 64 KiB as a pipe was. What ends it is kept in the agent's directory before it may
 * run. Rejects with `spawn_failed`; then nothing runs.
 *
 * @param command its `cwd` is a real path that somebody has checked
 */
export async function spawnProcess(command: StartCommand, tier: Tier): Promise<HeldProcess> {
  checkDirectory(command.cwd)
  checkProgram(command.file)
  const stdout = openAppend(join(command.dir, SPOOL_FILE))
  const stderr = openAppend(join(command.dir, STDERR_FILE))
  try {
    const { file, args, cwd, env, mark } = command
    const held = await startHeld(tier, { file, args, cwd, env, mark, stdout, stderr })
    try {
      refuseAnotherDirectory(held.cli.pid, cwd)
      keepTarget(command.dir, held.target)
      return held
    } catch (error) {
      held.abandon()
      await held.exit
      letGo(held.target)
      throw error
    }
  } finally {
    closeSync(stdout)
    closeSync(stderr)
  }
}

/** A file descriptor to give to the process. execa takes any one; its types know the standard ones only. */
function openAppend(path: string): 1 {
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    return openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o600) as 1
  } catch (error) {
    throw spawnFailed(`The agent's output file ${path} cannot be written (${messageOf(error)}).`)
  }
}

/** Checked first: for a directory that does not exist, spawn names the program as missing. */
function checkDirectory(cwd: string): void {
  if (!look(cwd)?.isDirectory()) {
    throw spawnFailed(`The working directory ${cwd} is not a directory. Create it or name another one.`)
  }
}

/**
 * The process that is held is in its directory already, whatever becomes of the path: so what was swapped for a link
 * between the check of the path and the start shows here, before the program runs.
 */
function refuseAnotherDirectory(pid: number, cwd: string): void {
  const actual = directoryOf(pid)
  if (actual === null || actual === cwd) return
  throw spawnFailed(
    `The working directory ${cwd} led to ${actual} when the agent was to start there: it was moved or replaced meanwhile.`,
  )
}

/** null where the system does not say it. */
function directoryOf(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return null
  }
}

function checkProgram(file: string): void {
  if (!look(file)?.isFile()) {
    throw spawnFailed(`The program ${file} does not exist. Install it or set DROVER_CLAUDE_PATH.`)
  }
  try {
    accessSync(file, constants.X_OK)
  } catch {
    throw spawnFailed(`The program ${file} may not be executed. Make it executable (chmod +x).`)
  }
}

function look(path: string): Stats | null {
  try {
    return statSync(path)
  } catch {
    return null
  }
}

const spawnFailed = (message: string): DroverError => new DroverError('spawn_failed', message)

/**
 * How an agent's processes are held together, so that all of them can be ended.
 *
 *     pid_namespace   the kernel ends every process of the namespace with its first one: nothing survives
 *     cgroup          `cgroup.kill` ends every process of the agent's cgroup, whatever it did to itself
 *     group           a session of its own and an environment mark; a process that left environment, session and
 *                     parent behind is not found (M15)
 *
 * Every tier starts the CLI held (`held.ts`): it exists, and is known by identity and kept in a file, before its
 * first instruction.
 */
import type { Identity } from './process-table.ts'

/** The tiers, strongest first. */
export const TIER_NAMES = ['pid_namespace', 'cgroup', 'group'] as const
export type TierName = (typeof TIER_NAMES)[number]

/** What all processes of one agent are ended by. Plain data: it is kept in the agent's directory as JSON. */
export type Target =
  | {
      readonly tier: 'pid_namespace'
      /** Started by the guard; it waits for the first process of the namespace, and ends with the guard. */
      readonly wrapper: Identity
      /** The first process of the namespace: with it all others end. */
      readonly init: Identity
    }
  | { readonly tier: 'cgroup'; /** The cgroup's directory, of a name used once. */ readonly path: string }
  | {
      readonly tier: 'group'
      readonly mark: string
      /** The CLI, which leads its own session and group; null when its pid may be somebody else's by now. */
      readonly session: Identity | null
    }

/** A program with its arguments. */
export interface CommandLine {
  readonly file: string
  readonly args: readonly string[]
}

/** How a process ended, as Node says it. */
export interface ProcessExit {
  readonly code: number | null
  readonly signal: string | null
}

/** A process that a tier has taken hold of. */
export interface Hold {
  readonly target: Target
  /** The process that becomes the CLI. */
  readonly cli: Identity
}

/** What one look and one blow came to. */
export interface Strike {
  /** Names (`nameOf`) of the agent's processes that were hit. */
  readonly hit: readonly string[]
  /** Nothing was there to be hit. */
  readonly clear: boolean
}

/** A way to start agents. */
export interface Tier {
  readonly name: TierName
  /** How it is done on this host, in words for people. */
  readonly how: string
  /** The command line to start instead: it holds the program until it is released. */
  wrap(program: CommandLine): CommandLine
  /** Takes hold of what was started and is held. Throws a sentence when it cannot. */
  hold(pid: number, mark: string): Hold
  /** The CLI's own end, out of the end of what was started; `orderly`: an init saw the CLI end, and said so. */
  exitOf(exit: ProcessExit, orderly: boolean): ProcessExit
}

/** Whether a tier is as strong as the one that is asked for. */
export function isAtLeast(tier: TierName, required: TierName | 'none'): boolean {
  return required === 'none' || TIER_NAMES.indexOf(tier) <= TIER_NAMES.indexOf(required)
}

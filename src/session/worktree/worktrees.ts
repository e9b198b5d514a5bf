/**
 * The worktrees of sessions: made before the first agent starts, found again by every later one, kept at the end where
 * there is work in them and removed where there is none.
 *
 * Crash-safe by order. Making: the record (`making`), the branch, the checkout, the record (`made`); only then an agent
 * starts. Removing (`removal.ts`) only after the session has ended for good. Whoever finds `making` or `removing` knows
 * that nobody's work is in it, and makes or removes it anew.
 */
import { messageOf, DroverError } from '../../core/errors.ts'
import { newId, TASK_ID_PATTERN } from '../../core/ids.ts'
import { addCheckout, clearCheckout, isThere, mergedTipOf, removeBranch, tipOf } from './checkout.ts'
import type { Git } from './git.ts'
import { clearPlace, isEmptyPlace, listPlaces, placeOf, preparePlace } from './place.ts'
import {
  branchOf,
  claimRecord,
  listRecords,
  readRecord,
  replaceRecord,
  type WorktreeRecord,
} from './record.ts'
import { clearPlaceOf, removeClean, unmake } from './removal.ts'
import { findBase, findRepository, type Repository } from './repository.ts'

/** Whose worktree it is. */
export interface Owner {
  readonly sessionId: string
  readonly agentType: string
  readonly taskId: string | null
  /** The sessions that this one is a restart of. */
  readonly ancestors: readonly string[]
  /** It has begun in a workspace already. */
  readonly hasBegun: boolean
}

export interface WorktreesParts {
  readonly git: Git
  readonly dataDir: string
  readonly roots: readonly string[]
  readonly podId: string
  readonly host: string
  /** One at a time, over all pods and boards. */
  readonly lock: <T>(name: string, work: () => Promise<T>) => Promise<T>
  readonly namespace: string
  /** `unknown`: Redis remembers none of that id, because it ended long ago, or because Redis has lost it. */
  readonly lifeOf: (sessionId: string) => Promise<'live' | 'ended' | 'unknown'>
}

/** `elsewhere`: there is one, or was one, and not on this machine. */
export type FoundWorktree =
  | { readonly kind: 'here'; readonly record: WorktreeRecord }
  | { readonly kind: 'none' }
  | { readonly kind: 'elsewhere'; readonly problem: string }

export interface SettleAll {
  /** Others are left alone. */
  readonly isMeant: (sessionId: string) => boolean
  /** Of each that was to be settled; `problem`: it could not be. */
  readonly onSettled: (sessionId: string, problem: unknown) => void
  /** What is of no session. */
  readonly onError: (error: unknown) => void
}

export interface Worktrees {
  /** The repository of a workspace. @throws DroverError `invalid_request` with a sentence */
  repositoryOf(dir: string): Promise<Repository>
  /** Changes nothing. */
  find(repository: Repository, owner: Owner): Promise<FoundWorktree>
  /**
   * The session's own worktree, made where it has none. Nothing is left behind where that fails.
   *
   * @throws DroverError `invalid_request` with a sentence
   */
  open(repository: Repository, owner: Owner): Promise<WorktreeRecord>
  /** Of a session that has ended: keeps what has work in it, removes what has none. May be repeated. */
  settle(workspaceDir: string, sessionId: string): Promise<void>
  /** The same for everything under this data directory whose session has ended. */
  settleAll(of: SettleAll): Promise<void>
}

export function createWorktrees(parts: WorktreesParts): Worktrees {
  const { git, dataDir, roots, podId, host, namespace } = parts
  const locked = <T>(commonDir: string, key: string, work: () => Promise<T>): Promise<T> =>
    parts.lock(lockOf(commonDir, key), work)

  async function recordOf(
    { commonDir }: Repository,
    { sessionId, taskId, ancestors }: Owner,
  ): Promise<WorktreeRecord | null> {
    const records = await listRecords(commonDir)
    return (
      records.find((record) => record.session_id === sessionId) ??
      records.find((record) => ancestors.includes(record.session_id)) ??
      // Of an earlier run of the task.
      records.find((record) => taskId !== null && record.task_id === taskId) ??
      null
    )
  }

  /** Sessions of another namespace are not known here. */
  async function mayTake(record: WorktreeRecord): Promise<boolean> {
    return record.namespace === namespace && (await parts.lifeOf(record.session_id)) !== 'live'
  }

  async function begin(repository: Repository, owner: Owner): Promise<WorktreeRecord> {
    const key = keyOf(owner)
    const branch = branchOf(key)
    const base = await findBase(git, repository)
    if ((await tipOf(git, repository.commonDir, branch)) !== null) throw branchExists(repository, branch)
    const record: WorktreeRecord = {
      key,
      session_id: owner.sessionId,
      namespace,
      task_id: owner.taskId,
      agent_type: owner.agentType,
      branch,
      path: placeOf(dataDir, repository, key),
      base_branch: base.branch,
      base_commit: base.commit,
      workspace_id: newId(),
      state: 'making',
      pod_id: podId,
      host,
      created_at: new Date().toISOString(),
    }
    if (await claimRecord(repository.commonDir, record)) return record
    const other = await readRecord(repository.commonDir, key)
    throw new DroverError(
      'invalid_request',
      other === null
        ? `The worktree ${branch} of ${repository.topLevel} was taken in the same moment. Try again.`
        : `The branch ${branch} of ${repository.topLevel} is the worktree of the session ${other.session_id}.`,
    )
  }

  async function make(repository: Repository, begun: WorktreeRecord): Promise<WorktreeRecord> {
    const { commonDir } = repository
    try {
      await clearCheckout(git, commonDir, begun)
      const merged = begun.state === 'removing' ? await mergedTipOf(git, commonDir, begun) : null
      if (merged !== null) await removeBranch(git, commonDir, begun.branch, merged)
      await clearPlaceOf(commonDir, begun)
      const here = { ...begun, path: placeOf(dataDir, repository, begun.key), pod_id: podId, host }
      await replaceRecord(commonDir, { ...here, state: 'making' })
      await preparePlace(here.path, commonDir, here.key)
      await addCheckout(git, commonDir, here)
      const made: WorktreeRecord = { ...here, state: 'made' }
      await replaceRecord(commonDir, made)
      return made
    } catch (error) {
      await unmake(git, repository.commonDir, begun).catch(() => undefined)
      throw error
    }
  }

  /** Under the lock. */
  async function settleRecord(commonDir: string, record: WorktreeRecord): Promise<void> {
    if (record.state === 'kept') return
    if (record.state === 'making') return await unmake(git, commonDir, record)
    // On another machine, or on a disk that is not there: whoever has it looks.
    if (record.state === 'made' && record.host !== host && !(await isThere(record.path))) return
    if (await removeClean(git, commonDir, record)) return
    await replaceRecord(commonDir, { ...record, state: 'kept' })
  }

  return {
    repositoryOf: (dir) => findRepository(git, dir, roots),

    async find(repository, owner) {
      const record = await recordOf(repository, owner)
      if (record === null) {
        if (!owner.hasBegun) return { kind: 'none' }
        return {
          kind: 'elsewhere',
          problem: `The worktree that the session began in is none of ${repository.topLevel} any more.`,
        }
      }
      if (record.state === 'making' || record.state === 'removing') return { kind: 'none' }
      if (await isThere(record.path)) return { kind: 'here', record }
      return {
        kind: 'elsewhere',
        problem: `The worktree ${record.path} of the branch ${record.branch} is not on this machine: it was made on ${record.host} by the pod ${record.pod_id}.`,
      }
    },

    async open(repository, owner) {
      const { commonDir } = repository
      const found = await recordOf(repository, owner)
      return await locked(commonDir, found?.key ?? keyOf(owner), async () => {
        const record = await recordOf(repository, owner)
        if (record === null) return await make(repository, await begin(repository, owner))
        if (record.session_id !== owner.sessionId && !(await mayTake(record))) {
          throw new DroverError(
            'invalid_request',
            `The worktree ${record.branch} of ${repository.topLevel} belongs to the session ${record.session_id} of the namespace ${record.namespace}, which has not ended there. Two sessions never share one.`,
          )
        }
        const own = { ...record, session_id: owner.sessionId, agent_type: owner.agentType }
        if (record.state === 'making' || record.state === 'removing') return await make(repository, own)
        const made: WorktreeRecord = { ...own, state: 'made' }
        await replaceRecord(commonDir, made)
        return made
      })
    },

    async settle(workspaceDir, sessionId) {
      const { commonDir } = await findRepository(git, workspaceDir, roots)
      const found = (await listRecords(commonDir)).find((record) => record.session_id === sessionId)
      if (found === undefined) return
      await locked(commonDir, found.key, async () => {
        const record = await readRecord(commonDir, found.key)
        // A restart by hand may have gone on in it.
        if (record?.session_id === sessionId) await settleRecord(commonDir, record)
      })
    },

    async settleAll({ isMeant, onSettled, onError }) {
      for (const place of await listPlaces(dataDir)) {
        const { commonDir, key } = place
        try {
          const found = await readRecord(commonDir, key)
          if (found === null) {
            // Somebody has taken the worktree away with git itself, or it was never made.
            await locked(commonDir, key, async () => {
              const isFree = (await readRecord(commonDir, key)) === null
              if (isFree && (await isEmptyPlace(place))) await clearPlace(place)
            })
          } else if (
            found.state !== 'kept' &&
            found.namespace === namespace &&
            isMeant(found.session_id) &&
            (await parts.lifeOf(found.session_id)) === 'ended'
          ) {
            const settled = locked(commonDir, key, async () => {
              const record = await readRecord(commonDir, key)
              if (record?.session_id === found.session_id) await settleRecord(commonDir, record)
            })
            await settled.then(
              () => onSettled(found.session_id, null),
              (error: unknown) => onSettled(found.session_id, error),
            )
          }
        } catch (error) {
          onError(new Error(`the worktree ${key} of ${commonDir} could not be settled: ${messageOf(error)}`))
        }
      }
    },
  }
}

/** The name of the lock of a worktree. */
export function lockOf(commonDir: string, key: string): string {
  return `worktree:${commonDir}:${key}`
}

/** A task's id may be no name of a branch: then the session's is taken. */
function keyOf({ taskId, sessionId }: Owner): string {
  return taskId !== null && isBranchName(taskId) ? taskId : sessionId
}

/** What git takes of a name that `TASK_ID_PATTERN` allows. */
function isBranchName(name: string): boolean {
  return TASK_ID_PATTERN.test(name) && !name.includes('..') && !name.endsWith('.') && !name.endsWith('.lock')
}

function branchExists({ topLevel }: Repository, branch: string): DroverError {
  return new DroverError(
    'invalid_request',
    `The branch ${branch} exists already in ${topLevel}, and no session of Drover's has it. Merge or delete it, or give the work another task.`,
  )
}

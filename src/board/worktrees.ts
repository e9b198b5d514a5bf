/**
 * Worktrees of sessions, looked at and worked on where they are: on this machine. Of those on others it is said where
 * they are.
 */
import { composeEvent, type Actor, type OwnEventType } from '../core/envelope.ts'
import { DroverError } from '../core/errors.ts'
import type { WorktreeChanged } from '../core/events.ts'
import { isEnded } from '../core/state.ts'
import type {
  CleanWorktreesBody,
  WorktreeDiff,
  WorktreeMerge,
  WorktreesCleaned,
  WorktreesDocument,
  WorktreeView,
} from '../core/worktree-view.ts'
import type { LedgerReader } from '../ledger/ledger.ts'
import type { WithLock } from '../queue/lock.ts'
import type { Recorder } from '../recorder/recorder.ts'
import { diffOf } from '../session/worktree/diff.ts'
import type { Git } from '../session/worktree/git.ts'
import { mergeWorktree } from '../session/worktree/merge.ts'
import { readRecord, type WorktreeRecord } from '../session/worktree/record.ts'
import { removeClean, removeWhole } from '../session/worktree/removal.ts'
import { lockOf } from '../session/worktree/worktrees.ts'
import { LEDGER_WAIT_MS } from './spawn.ts'
import type { ViaRedis } from './via-redis.ts'
import { createWorktreeList, type LocalWorktree } from './worktree-list.ts'

export interface WorktreeBoardParts {
  readonly git: Git
  readonly ledger: Pick<LedgerReader, 'worktrees' | 'sessions'>
  readonly namespace: string
  /** This machine, as pods name theirs. */
  readonly host: string
  readonly lock: WithLock
  /** Puts an event on the stream; answers its id. */
  readonly append: (event: string) => Promise<string>
  readonly recorder: Pick<Recorder, 'waitFor'>
  readonly viaRedis: ViaRedis
}

/** Ids are those of sessions or tasks. */
export interface WorktreeBoard {
  list(): Promise<WorktreesDocument>
  /** @throws DroverError `worktree_not_found`, `worktree_refused` where it is on another machine */
  diff(id: string): Promise<WorktreeDiff>
  /** @throws DroverError as `diff`; `worktree_refused` with the reason; `merge_conflict` with `files` */
  merge(id: string, actor: Actor): Promise<WorktreeMerge>
  /** @throws DroverError as `diff`; `worktree_refused` where work would be lost and `force` is not given */
  clean(body: CleanWorktreesBody, actor: Actor): Promise<WorktreesCleaned>
}

export function createWorktreeBoard(parts: WorktreeBoardParts): WorktreeBoard {
  const { git, ledger, viaRedis } = parts
  const worktrees = createWorktreeList(parts)

  /** Does `work` with the worktree as it is under its lock: of the same session still, which has ended. */
  async function held<T>(
    { commonDir, record: seen }: LocalWorktree,
    work: (record: WorktreeRecord) => Promise<T>,
  ): Promise<T> {
    return await viaRedis(
      parts.lock(lockOf(commonDir, seen.key), async () => {
        const record = await readRecord(commonDir, seen.key)
        if (record === null) throw gone(seen.key)
        const status = ledger.sessions.get(record.session_id)?.status
        if (status === undefined || !isEnded(status)) throw stillInUse(record)
        return await work(record)
      }),
    )
  }

  async function note(type: OwnEventType, changed: WorktreeChanged): Promise<void> {
    const header = {
      session_id: null,
      agent_id: null,
      agent_type: changed.agent_type,
      epoch: 0,
      seq: null,
      line: null,
      ts: new Date().toISOString(),
      type,
    }
    const streamId = await viaRedis(parts.append(composeEvent(header, JSON.stringify(changed))))
    await parts.recorder.waitFor(streamId, LEDGER_WAIT_MS)
  }

  async function remove(local: LocalWorktree, force: boolean, actor: Actor): Promise<boolean> {
    const removed = await held(local, async (record) => {
      if (force) {
        await removeWhole(git, local.commonDir, record)
        return record
      }
      return (await removeClean(git, local.commonDir, record)) ? record : null
    })
    if (removed === null) return false
    const reason = `${removed.branch}${force ? ' with what was in it' : ''}`
    await note('drover.worktree.removed', { ...namesOf(removed), force, reason, actor })
    return true
  }

  return {
    async list() {
      return { success: true, worktrees: await worktrees.all() }
    },

    async diff(id) {
      const { commonDir, record, view } = await worktrees.require(id)
      const { stdout, isCut } = await diffOf(git, commonDir, record)
      return { success: true, worktree: view, diff: stdout, cut: isCut }
    },

    async merge(id, actor) {
      const local = await worktrees.require(id)
      const { record, ...merged } = await held(local, async (now) => ({
        record: now,
        ...(await mergeWorktree(git, local.commonDir, now)),
      }))
      const { branch, base_branch, session_id, task_id } = record
      const message = merged.merged
        ? `${branch} is merged into ${base_branch}. drover worktrees clean removes it.`
        : `${base_branch} had all of ${branch} already.`
      const { commit } = merged
      const reason = `${branch} into ${base_branch}: ${merged.merged ? commit : 'nothing to merge'}`
      await note('drover.worktree.merged', { ...namesOf(record), commit, reason, actor })
      return {
        success: true,
        action: 'merge_worktree',
        session_id,
        task_id,
        branch,
        base_branch,
        commit,
        merged: merged.merged,
        committed_files: merged.committedFiles,
        message,
      }
    },

    async clean({ id, force }, actor) {
      if (id != null) {
        const local = await worktrees.require(id)
        if (!(await remove(local, force ?? false, actor))) throw hasWork(local.view)
        return { success: true, action: 'clean_worktrees', removed: [local.view], kept: [] }
      }
      if (force === true) {
        throw new DroverError('invalid_request', '--force removes work, of one worktree: name it.', {
          issues: [{ path: 'force', message: 'needs the id of one worktree' }],
        })
      }
      const removed: WorktreeView[] = []
      const kept: WorktreeView[] = []
      for (const local of await worktrees.local()) {
        if (local.view.state !== 'kept') continue
        const isRemoved = await remove(local, false, actor)
        ;(isRemoved ? removed : kept).push(local.view)
      }
      return { success: true, action: 'clean_worktrees', removed, kept }
    },
  }
}

function namesOf(record: WorktreeRecord): Omit<WorktreeChanged, 'reason' | 'actor'> {
  const { session_id, agent_type, task_id, branch, base_branch } = record
  return { session_id, agent_type, task_id, branch, base_branch }
}

function gone(key: string): DroverError {
  return new DroverError('worktree_not_found', `The worktree of ${key} was removed in this moment.`)
}

function stillInUse({ branch, session_id }: WorktreeRecord): DroverError {
  return new DroverError(
    'worktree_refused',
    `The session ${session_id}, which works in ${branch}, has not ended. Wait for it, or end it with drover kill.`,
    { branch, session_id },
  )
}

function hasWork({ branch, session_id, changed, ahead }: WorktreeView): DroverError {
  return new DroverError(
    'worktree_refused',
    `There is work in ${branch}: ${changed ?? 0} changed files, ${ahead ?? 0} commits. Merge it, or remove it with --force.`,
    { branch, session_id, changed, ahead },
  )
}

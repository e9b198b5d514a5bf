/** Which worktrees there are: those of repositories on this machine, and what the ledger knows of others. */
import { realpath } from 'node:fs/promises'
import { DroverError } from '../core/errors.ts'
import { isEnded } from '../core/state.ts'
import type { WorktreeView } from '../core/worktree-view.ts'
import type { LedgerReader } from '../ledger/ledger.ts'
import type { WorktreeRow } from '../ledger/worktree-rows.ts'
import { changesOf, isThere, type Changes } from '../session/worktree/checkout.ts'
import type { Git } from '../session/worktree/git.ts'
import { listRecords, type WorktreeRecord } from '../session/worktree/record.ts'

/** Names of changed files in a view. */
const NAMED = 100

export interface WorktreeListParts {
  readonly git: Git
  readonly ledger: Pick<LedgerReader, 'worktrees' | 'sessions'>
  readonly namespace: string
  /** This machine, as pods name theirs. */
  readonly host: string
}

/** A worktree of a repository on this machine. */
export interface LocalWorktree {
  readonly commonDir: string
  readonly record: WorktreeRecord
  readonly view: WorktreeView
}

export interface WorktreeList {
  all(): Promise<readonly WorktreeView[]>
  local(): Promise<readonly LocalWorktree[]>
  /**
   * By the id of a session or a task.
   *
   * @throws DroverError `worktree_not_found`, `worktree_refused` where it is on another machine
   */
  require(id: string): Promise<LocalWorktree>
}

/** A record, and where it was found. */
type Found = Omit<LocalWorktree, 'view'> & { readonly workspaceDir: string }

export function createWorktreeList({ git, ledger, namespace, host }: WorktreeListParts): WorktreeList {
  /** The git directory of a workspace; null where it is none, or not on this machine. */
  async function commonDirOf(workspaceDir: string): Promise<string | null> {
    const real = await realpath(workspaceDir).catch(() => null)
    if (real === null || !(await isThere(real))) return null
    const answer = await git(real, ['rev-parse', '--path-format=absolute', '--git-common-dir'], [128])
    return answer.code === 0 ? answer.stdout.trim() : null
  }

  async function found(
    rows: readonly WorktreeRow[],
  ): Promise<{ readonly found: Found[]; readonly others: WorktreeRow[] }> {
    const dirs = [...new Set(rows.map((row) => row.workspace_dir).filter((dir) => dir !== null))]
    const repositories = new Map<string, string>()
    const missing = new Set<string>()
    for (const dir of dirs) {
      const commonDir = await commonDirOf(dir)
      if (commonDir === null) missing.add(dir)
      else if (!repositories.has(commonDir)) repositories.set(commonDir, dir)
    }
    const all: Found[] = []
    for (const [commonDir, workspaceDir] of repositories) {
      const records = await listRecords(commonDir)
      const own = records.filter((record) => record.namespace === namespace)
      all.push(...own.map((record) => ({ commonDir, record, workspaceDir })))
    }
    return {
      found: all,
      others: rows.filter(
        (row) => row.host !== host && (row.workspace_dir === null || missing.has(row.workspace_dir)),
      ),
    }
  }

  async function isLocal({ record }: Found): Promise<boolean> {
    return record.host === host || (await isThere(record.path))
  }

  async function withView(one: Found): Promise<LocalWorktree> {
    const changes = await changesOf(git, one.commonDir, one.record).catch(() => null)
    return { ...one, view: viewOf(one, changes, true) }
  }

  function viewOf({ record, workspaceDir }: Found, changes: Changes | null, local: boolean): WorktreeView {
    const session = ledger.sessions.get(record.session_id)
    const hasEnded = session !== null && isEnded(session.status)
    return {
      session_id: record.session_id,
      agent_type: record.agent_type,
      task_id: record.task_id,
      session_status: session?.status ?? null,
      state: !local ? 'elsewhere' : hasEnded ? 'kept' : 'active',
      branch: record.branch,
      base_branch: record.base_branch,
      base_commit: record.base_commit,
      path: record.path,
      workspace_dir: session?.workspace_dir ?? workspaceDir,
      pod_id: record.pod_id,
      host: record.host,
      changed: changes?.uncommitted.length ?? null,
      changed_files: changes?.uncommitted.slice(0, NAMED) ?? [],
      ahead: changes?.ahead ?? null,
      created_at: record.created_at,
    }
  }

  return {
    async all() {
      const { found: records, others } = await found(ledger.worktrees.list())
      const here: WorktreeView[] = []
      for (const one of records) {
        here.push((await isLocal(one)) ? (await withView(one)).view : viewOf(one, null, false))
      }
      const views = [...here, ...others.map(elsewhere)]
      return views.toSorted((a, b) => b.created_at.localeCompare(a.created_at))
    },

    async local() {
      const { found: records } = await found(ledger.worktrees.list())
      const here: LocalWorktree[] = []
      for (const one of records) if (await isLocal(one)) here.push(await withView(one))
      return here
    },

    async require(id) {
      const row = ledger.worktrees.of(id)
      if (row === null) {
        throw new DroverError(
          'worktree_not_found',
          `No session and no task "${id}" is known that worked in a worktree. See drover worktrees list.`,
        )
      }
      const { found: records, others } = await found([row])
      // A later session may have gone on in it.
      const one = records.find(({ record }) => record.session_id === id || record.branch === row.branch)
      if (one !== undefined && (await isLocal(one))) return await withView(one)
      const away = one?.record ?? others[0]
      if (away === undefined) {
        throw new DroverError(
          'worktree_not_found',
          `The worktree ${row.branch} is not there any more: nothing was in it, or it was cleaned.`,
          { branch: row.branch, session_id: row.session_id },
        )
      }
      const { pod_id, host: itsHost } = away
      throw new DroverError(
        'worktree_refused',
        `The worktree ${row.branch} is on ${itsHost ?? 'another machine'} (pod ${pod_id}), at ${row.path}; this board is on ${host}. Work on it there, with git.`,
        { branch: row.branch, session_id: row.session_id, pod_id, host: itsHost },
      )
    },
  }
}

/** What is known of one whose repository is not on this machine. */
function elsewhere(row: WorktreeRow): WorktreeView {
  return {
    ...row,
    state: 'elsewhere',
    base_branch: null,
    base_commit: null,
    changed: null,
    changed_files: [],
    ahead: null,
  }
}

/**
 * What Drover knows of its worktrees: a file per worktree in the repository's git directory, `drover/<key>.json`, so
 * that every pod that has the repository finds it, and no commit and no status shows it. The key is the task's id, or
 * the session's where there is no task; the branch is `drover/<key>`.
 *
 * A file is made whole or not at all, and only one of several who make it at once does. Changes are made under the
 * lock of the worktree (`queue/lock.ts`).
 */
import { randomBytes } from 'node:crypto'
import { link, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { SESSION_ID_PATTERN, TASK_ID_PATTERN } from '../../core/ids.ts'
import { readSmallFile } from '../small-file.ts'

const FOLDER = 'drover'
const SUFFIX = '.json'
const MOST_BYTES = 16 * 1024

const recordSchema = z.object({
  key: z.string().regex(TASK_ID_PATTERN),
  /** Whose work it is now: of several runs of a task, or a session and its restart by hand, the last. */
  session_id: z.string().regex(SESSION_ID_PATTERN),
  namespace: z.string(),
  task_id: z.string().nullable(),
  agent_type: z.string(),
  branch: z.string(),
  /** The checkout's directory, on `host`. */
  path: z.string().startsWith('/'),
  base_branch: z.string(),
  base_commit: z.string().regex(/^[0-9a-f]{40,64}$/),
  /** The workspace's id, for `workspaceId` of the checkout. */
  workspace_id: z.string(),
  /**
   * `making`: branch and checkout may be there in part, and nobody has worked in them. `made`: a session works in it.
   * `kept`: its session has ended, and there is work in it. `removing`: there is none, and it may be gone in part.
   */
  state: z.enum(['making', 'made', 'kept', 'removing']),
  pod_id: z.string(),
  host: z.string(),
  created_at: z.string(),
})
export type WorktreeRecord = z.infer<typeof recordSchema>

/** The branch of a worktree. */
export function branchOf(key: string): string {
  return `drover/${key}`
}

/** The full name of a branch. */
export function refOf(branch: string): string {
  return `refs/heads/${branch}`
}

/** The worktree of a key, or null. What is no record is none. */
export async function readRecord(commonDir: string, key: string): Promise<WorktreeRecord | null> {
  const text = await readSmallFile(fileOf(commonDir, key), MOST_BYTES).catch(() => '')
  try {
    const parsed = recordSchema.safeParse(JSON.parse(text))
    return parsed.success && parsed.data.key === key ? parsed.data : null
  } catch {
    return null
  }
}

/** All worktrees of a repository, by key. */
export async function listRecords(commonDir: string): Promise<WorktreeRecord[]> {
  const names = await readdir(join(commonDir, FOLDER)).catch(() => [])
  const keys = names.filter((name) => name.endsWith(SUFFIX)).map((name) => name.slice(0, -SUFFIX.length))
  const records = await Promise.all(keys.toSorted().map((key) => readRecord(commonDir, key)))
  return records.filter((record) => record !== null)
}

/** Puts a new record there. False where there is one. */
export async function claimRecord(commonDir: string, record: WorktreeRecord): Promise<boolean> {
  return await withDraft(commonDir, record, async (draft, file) => {
    try {
      await link(draft, file)
      return true
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
      throw error
    }
  })
}

/** Puts a record in the place of the one that is there. */
export async function replaceRecord(commonDir: string, record: WorktreeRecord): Promise<void> {
  await withDraft(commonDir, record, (draft, file) => rename(draft, file))
}

/** Removes the record of a worktree; nothing happens where there is none. */
export async function dropRecord(commonDir: string, key: string): Promise<void> {
  await rm(fileOf(commonDir, key), { force: true })
}

async function withDraft<T>(
  commonDir: string,
  record: WorktreeRecord,
  put: (draft: string, file: string) => Promise<T>,
): Promise<T> {
  const file = fileOf(commonDir, record.key)
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  await mkdir(dirname(file), { recursive: true })
  try {
    await writeFile(draft, `${JSON.stringify(record, null, 2)}\n`, { flag: 'wx', mode: 0o600 })
    return await put(draft, file)
  } finally {
    await rm(draft, { force: true })
  }
}

function fileOf(commonDir: string, key: string): string {
  if (!TASK_ID_PATTERN.test(key)) throw new Error(`not the key of a worktree: ${JSON.stringify(key)}`)
  return join(commonDir, FOLDER, `${key}${SUFFIX}`)
}

/** What only the pod can check before it starts an agent: its own files. Nothing is made yet. */
import type { AgentSpec } from '../config/agent-spec.ts'
import { absentCommands, readMcpConfig } from '../config/mcp-config.ts'
import { messageOf } from '../core/errors.ts'
import type { SessionRecord } from '../queue/session-store.ts'
import type { Repository } from '../session/worktree/repository.ts'
import type { Owner, Worktrees } from '../session/worktree/worktrees.ts'
import { checkWorkspace, workspaceId } from '../session/workspace.ts'

export interface PreflightParts {
  readonly roots: readonly string[]
  readonly worktrees: Worktrees
  /** `PATH` as agents get it. */
  readonly searchPath: string
}

export type Preflight =
  | {
      readonly ok: true
      /** The directory that was asked for. */
      readonly dir: string
      /** null: of a worktree that is not made yet. */
      readonly workspaceId: string | null
      /** What the session's worktree is of; null where it works in the directory itself. */
      readonly repository: Repository | null
    }
  /** `isElsewhere`: the workspace is not on this pod; another one may have it. */
  | { readonly ok: false; readonly problem: string; readonly isElsewhere: boolean }

/**
 * The workspace is a directory inside an allowed root, a session with a worktree finds its repository, and its own
 * worktree where it has begun; and the spec's files can be read.
 */
export async function preflight(
  { roots, worktrees, searchPath }: PreflightParts,
  spec: AgentSpec,
  record: SessionRecord,
): Promise<Preflight> {
  let dir: string
  try {
    dir = await checkWorkspace(record.request.workspace_dir, roots)
  } catch (error) {
    return { ok: false, problem: messageOf(error), isElsewhere: true }
  }
  try {
    // Unreadable or broken, it says so in a sentence.
    const mcp = spec.mcpConfig === null ? null : readMcpConfig(spec.mcpConfig)
    if (mcp !== null && spec.requireMcp) {
      const absent = absentCommands(mcp, searchPath, dir)
      if (absent.length > 0) return noServer(spec, absent)
    }
    if (!(await usesWorktree(spec, record, dir))) {
      return { ok: true, dir, workspaceId: await workspaceId(dir), repository: null }
    }
    const repository = await worktrees.repositoryOf(dir)
    const found = await worktrees.find(repository, ownerOf(record))
    if (found.kind === 'elsewhere') return { ok: false, problem: found.problem, isElsewhere: true }
    return {
      ok: true,
      dir,
      workspaceId: found.kind === 'none' ? null : found.record.workspace_id,
      repository,
    }
  } catch (error) {
    return { ok: false, problem: messageOf(error), isElsewhere: false }
  }
}

/** Without "require_mcp" the CLI goes on without them, and says so at its start. */
function noServer({ name, mcpConfig }: AgentSpec, absent: readonly string[]): Preflight {
  const problem = `The MCP config ${mcpConfig} of ${name}, which requires its servers, cannot be used here: ${absent.join('; ')}.`
  return { ok: false, problem, isElsewhere: false }
}

/**
 * What was asked for; else as the agent type has it when the session begins. One that has begun stays where it is: its
 * type may have changed since, and a Redis that was lost may have forgotten the worktree.
 */
async function usesWorktree(spec: AgentSpec, record: SessionRecord, dir: string): Promise<boolean> {
  const { request, worktreePath, workspaceId: begunIn } = record
  if (worktreePath !== null) return true
  if (request.worktree != null) return request.worktree
  if (spec.workspace !== 'worktree') return false
  return begunIn === null || begunIn !== (await workspaceId(dir))
}

/** The session as the owner of its worktree. */
export function ownerOf(record: SessionRecord): Owner {
  return {
    sessionId: record.sessionId,
    agentType: record.agentType,
    taskId: record.request.task_id ?? null,
    ancestors: record.restartOf === null ? [] : [record.restartOf],
    hasBegun: record.workspaceId !== null,
  }
}

/** What only the pod can check before it starts an agent: its own files. */
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import type { AgentSpec } from '../config/agent-spec.ts'
import { readMcpConfig } from '../config/mcp-config.ts'
import { messageOf } from '../core/errors.ts'
import { checkWorkspace, workspaceId } from '../session/workspace.ts'

export type Preflight =
  | { readonly ok: true; readonly cwd: string; readonly workspaceId: string }
  /** `isElsewhere`: the workspace is not on this pod; another one may have it. */
  | { readonly ok: false; readonly problem: string; readonly isElsewhere: boolean }

/** The workspace is a directory inside an allowed root, and the spec's files can be read. */
export async function preflight(
  spec: AgentSpec,
  workspaceDir: string,
  roots: readonly string[],
): Promise<Preflight> {
  const missing = notYet(spec)
  if (missing !== null) return { ok: false, problem: missing, isElsewhere: false }
  let cwd: string
  try {
    cwd = await checkWorkspace(workspaceDir, roots)
  } catch (error) {
    return { ok: false, problem: messageOf(error), isElsewhere: true }
  }
  try {
    // Unreadable or broken, it says so in a sentence.
    if (spec.mcpConfig !== null) readMcpConfig(spec.mcpConfig)
    return { ok: true, cwd, workspaceId: await workspaceId(cwd) }
  } catch (error) {
    return { ok: false, problem: messageOf(error), isElsewhere: false }
  }
}

/** What a spec may ask for and this version does not do: refused, because going on without it would be another thing. */
function notYet(spec: AgentSpec): string | null {
  if (spec.workspace === 'worktree') {
    return `The spec of ${spec.name} asks for a worktree, which this version does not make. Use "workspace": "shared".`
  }
  if (spec.requireMcp) {
    return `The spec of ${spec.name} has "require_mcp", which this version does not watch. Take it out.`
  }
  return null
}

/** Those of the spec's `expect_files` that are not in the workspace. */
export async function missingFiles(spec: AgentSpec, cwd: string): Promise<string[]> {
  const found = await Promise.all(
    spec.expectFiles.map((file) =>
      access(join(cwd, file)).then(
        () => true,
        () => false,
      ),
    ),
  )
  return spec.expectFiles.filter((_, index) => !found[index])
}

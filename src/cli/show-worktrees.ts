/** Worktrees for people. */
import type { WorktreeMerge, WorktreesCleaned, WorktreeView } from '../core/worktree-view.ts'
import { counted } from './format.ts'
import type { Output } from './output.ts'
import { visible } from './safe-text.ts'
import { table } from './table.ts'

/** `worktrees list` */
export function worktreesTable(worktrees: readonly WorktreeView[], output: Output): string {
  if (worktrees.length === 0) return 'No worktrees: no session has left work in one.'
  const rows = worktrees.map((worktree) => [
    visible(worktree.branch),
    worktree.state,
    worktree.agent_type,
    worktree.session_status ?? '',
    workOf(worktree),
    visible(worktree.state === 'elsewhere' ? `${worktree.host ?? '?'}: ${worktree.path}` : worktree.path),
  ])
  return table(['branch', 'state', 'agent type', 'session', 'work', 'path'], rows, output)
}

/** `worktrees merge` */
export function mergedText({ message, committed_files: files }: WorktreeMerge): string {
  return files === 0 ? message : `${message} ${counted(files, 'file')} that nobody had committed went along.`
}

/** `worktrees clean` */
export function cleanedText({ removed, kept }: WorktreesCleaned): string {
  const lines = [
    ...removed.map(({ branch }) => `removed ${branch}`),
    ...kept.map((worktree) => `kept    ${worktree.branch} (${workOf(worktree)})`),
  ]
  return lines.length === 0 ? 'Nothing to clean.' : lines.map(visible).join('\n')
}

function workOf({ changed, ahead }: WorktreeView): string {
  if (changed === null || ahead === null) return ''
  const parts = [
    ...(changed > 0 ? [counted(changed, 'changed file')] : []),
    ...(ahead > 0 ? [counted(ahead, 'commit')] : []),
  ]
  return parts.join(', ') || 'none'
}

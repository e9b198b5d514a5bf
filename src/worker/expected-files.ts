/** A success without the files that the spec expects (`expect_files`) is none. */
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import type { AgentSpec } from '../config/agent-spec.ts'
import type { Outcome } from '../core/outcome.ts'

/** The outcome when the files were looked for in `cwd`, where the agent worked: `missing_files` where one is not there. */
export async function withExpectedFiles(spec: AgentSpec, cwd: string, outcome: Outcome): Promise<Outcome> {
  if (outcome.status !== 'completed') return outcome
  const found = await Promise.all(
    spec.expectFiles.map((file) =>
      access(join(cwd, file)).then(
        () => true,
        () => false,
      ),
    ),
  )
  const missing = spec.expectFiles.filter((_, index) => !found[index])
  if (missing.length === 0) return outcome
  const message = `The agent reported success, but these files are missing: ${missing.join(', ')}.`
  return { ...outcome, status: 'failed', failureReason: 'missing_files', message, retry: 'never' }
}

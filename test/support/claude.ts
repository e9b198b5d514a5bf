/** The real CLI, for tests that run it against a rehearsal. */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/**
 * The CLI to test with: `DROVER_CLAUDE_PATH`, else the one that `./check` puts into `data/tools`, else `claude` on
 * the PATH. Throws where there is none: these tests do not pass by being skipped.
 */
export function claudePath(): string {
  const configured = process.env['DROVER_CLAUDE_PATH']
  if (configured) return configured
  const onPath = (process.env['PATH'] ?? '').split(delimiter).map((dir) => join(dir, 'claude'))
  const candidates = [join(ROOT, 'data/tools/claude/node_modules/.bin/claude'), ...onPath]
  const found = candidates.find((candidate) => existsSync(candidate))
  if (found === undefined)
    throw new Error('This test needs the claude CLI: run ./check, or set DROVER_CLAUDE_PATH.')
  return found
}

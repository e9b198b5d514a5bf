/** What the tests of the configuration share. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { SpecIssue } from '../../src/config/spec-file.ts'
import { isDroverError, type DroverError } from '../../src/core/errors.ts'

/** A directory of its own for a test, removed when the test is over. */
export function tempDir(files: Readonly<Record<string, string | Uint8Array>> = {}): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'drover-config-')))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), content)
  }
  return dir
}

/** The DroverError that `run` throws; null when it throws nothing. Any other error is the test's failure. */
export function refusalOf(run: () => unknown): DroverError | null {
  try {
    run()
    return null
  } catch (error) {
    if (isDroverError(error)) return error
    throw error
  }
}

/** The issues of an `invalid_request`; none when `run` throws nothing. */
export function issuesOf(run: () => unknown): readonly SpecIssue[] {
  const refusal = refusalOf(run)
  if (refusal === null) return []
  if (refusal.code !== 'invalid_request' || !Array.isArray(refusal.details.issues)) throw refusal
  return refusal.details.issues
}

/**
 * `redaction.json` in an agent's directory, for its user only: what is taken out of its output. Whoever finds the
 * spool when the worker that wrote it is gone redacts it in the same way, also where a key was changed in between.
 * It goes with the session's directory; the agent had these values in its environment.
 */
import { readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { createRedactor, type Redactor, type RedactorOptions } from '../core/redact.ts'

const FILE = 'redaction.json'

const schema = z.object({
  secrets: z.array(z.object({ name: z.string(), value: z.string() })),
  patterns: z.array(z.object({ name: z.string(), source: z.string() })),
  known: z.boolean(),
})

/** Written before the process is started, so there is no spool without one. */
export async function writeRedaction(dir: string, options: Required<RedactorOptions>): Promise<void> {
  const file = join(dir, FILE)
  await writeFile(`${file}.half`, JSON.stringify(options), { mode: 0o600 })
  await rename(`${file}.half`, file)
}

/** Where the file is gone or damaged (the agent can reach it) Drover's own patterns are what is left. */
export function readRedactor(dir: string): Redactor {
  try {
    return createRedactor(schema.parse(JSON.parse(readFileSync(join(dir, FILE), 'utf8'))))
  } catch {
    return createRedactor({ secrets: [] })
  }
}

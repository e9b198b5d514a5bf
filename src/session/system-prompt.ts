/** System prompts that are too long for the command line. */
import { writeFile } from 'node:fs/promises'
import type { AgentSpec } from '../config/agent-spec.ts'
import { SYSTEM_PROMPT_ARGUMENT_LIMIT } from './argv.ts'

/** Writes the spec's system prompt to `file` where it is too long for an argument; the path, or null where it fits. */
export async function prepareSystemPrompt(spec: AgentSpec, file: string): Promise<string | null> {
  if (spec.systemPrompt === null || Buffer.byteLength(spec.systemPrompt) <= SYSTEM_PROMPT_ARGUMENT_LIMIT)
    return null
  await writeFile(file, spec.systemPrompt, { mode: 0o600 })
  return file
}

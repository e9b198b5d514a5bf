/**
 * `agent.json` in an agent's directory: whose spool this is, for whoever finds it when the worker that wrote it is
 * gone. Written before the process is started, so there is no spool without one.
 */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'

const schema = z.object({
  agent_id: z.string(),
  session_id: z.string(),
  agent_type: z.string(),
  epoch: z.string(),
  /** The worker that follows the spool while it lives. */
  worker: z.object({ pid: z.int().positive(), start_time: z.string() }),
})
export type AgentRecord = z.infer<typeof schema>

export async function writeAgentRecord(dir: string, record: AgentRecord): Promise<void> {
  const file = join(dir, 'agent.json')
  await writeFile(`${file}.half`, JSON.stringify(record), { mode: 0o600 })
  await rename(`${file}.half`, file)
}

/** Null where there is none, or what is there is none. */
export async function readAgentRecord(dir: string): Promise<AgentRecord | null> {
  try {
    return schema.parse(JSON.parse(await readFile(join(dir, 'agent.json'), 'utf8')))
  } catch {
    return null
  }
}

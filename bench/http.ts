/** Requests to a board, as any client makes them. */
import { createAgentTypeRegistry } from '../src/queue/agent-types.ts'
import { vouch } from '../src/queue/incarnation.ts'
import { keysOf } from '../src/queue/keys.ts'
import { startBoard } from './board.ts'
import type { Stage } from './stage.ts'

/** A board of a new namespace that knows these agent types, of which no pod runs any. Resolves with its URL. */
export async function startLoneBoard(
  stage: Stage,
  namespace: string,
  agentTypes: readonly string[],
): Promise<string> {
  const keys = keysOf(namespace)
  await vouch(stage.redis, keys, 'new')
  const about = { description: 'b', model: 'sonnet', use_cases: [], timeout: 60, max_instances: 1 }
  await createAgentTypeRegistry(stage.redis, keys).announce(agentTypes.map((name) => ({ name, ...about })))
  return await startBoard(stage, { namespace, dataDir: `${stage.dir}/${namespace}` })
}

/** The JSON document of an answer that is no failure, and how long it took until all of it was here. */
export async function ask(
  url: string,
  body?: unknown,
): Promise<{ readonly document: any; readonly tookMs: number }> {
  const began = performance.now()
  const response = await fetch(
    url,
    body === undefined
      ? {}
      : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) },
  )
  const text = await response.text()
  const tookMs = performance.now() - began
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text.slice(0, 300)}`)
  return { document: JSON.parse(text), tookMs }
}

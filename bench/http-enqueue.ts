/**
 * `POST /api/v1/sessions`, each answered when the session is in the ledger (`durability: "ledger"`): so many a second,
 * from one client with 50 requests in flight, and one after the other. A real board with its recorder, AOF `always`,
 * the ledger on the disk; no pod takes the jobs.
 */
import { ask, startLoneBoard } from './http.ts'
import { median, summarize, type Result } from './report.ts'
import type { Stage } from './stage.ts'

const NAMESPACE = 'bench-http-enqueue'
const IN_FLIGHT = 50
const SESSIONS = 500
const ALONE = 50
const WARM_ROUNDS = 2
const PROMPT = 'x'.repeat(200)

export async function benchHttpEnqueue(stage: Stage): Promise<readonly Result[]> {
  const board = await startLoneBoard(stage, NAMESPACE, ['bench'])

  async function spawn(): Promise<void> {
    const body = { agent_type: 'bench', prompt: PROMPT, workspace_dir: stage.dir, wait: 'accepted' }
    const { document } = await ask(`${board}/api/v1/sessions`, body)
    if (document.durability !== 'ledger') throw new Error(`an answer came before the ledger had the session`)
  }
  async function rate(count: number, inFlight: number): Promise<number> {
    let left = count
    const one = async (): Promise<void> => {
      while (left-- > 0) await spawn()
    }
    const start = performance.now()
    await Promise.all(Array.from({ length: inFlight }, one))
    return (count * 1000) / (performance.now() - start)
  }

  for (let round = 0; round < WARM_ROUNDS; round++) await rate(SESSIONS, IN_FLIGHT)
  const together: number[] = []
  const alone: number[] = []
  for (let round = 0; round < stage.pairs; round++) {
    together.push(await rate(SESSIONS, IN_FLIGHT))
    alone.push(await rate(ALONE, 1))
  }
  return [
    {
      bench: 'http-enqueue',
      title: `sessions asked for over HTTP and answered from the ledger, ${IN_FLIGHT} in flight`,
      unit: 'sessions/s',
      measured: summarize(together),
      goal: { op: '>=', value: 200 },
      details: [{ label: 'one after the other', value: median(alone), unit: 'sessions/s' }],
    },
  ]
}

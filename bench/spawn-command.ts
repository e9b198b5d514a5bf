/**
 * `drover spawn --wait accepted`, from the start of the process to its end, against a bare Node that does nothing: the
 * built command, a real board, the answer from the ledger. No pod takes the jobs.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { startLoneBoard } from './http.ts'
import { median, summarize, type Result } from './report.ts'
import { measurePairs, type Stage } from './stage.ts'

const NAMESPACE = 'bench-spawn'
const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
/** The first start of a build fills the cache of compiled code. */
const WARM_UP = 2

export async function benchSpawnCommand(stage: Stage): Promise<readonly Result[]> {
  const board = await startLoneBoard(stage, NAMESPACE, ['bench'])
  const env = { PATH: process.env.PATH, HOME: join(stage.dir, 'home'), DROVER_URL: board }

  async function run(args: readonly string[]): Promise<{ ms: number; stdout: string }> {
    const start = performance.now()
    const child = spawn(process.execPath, args, {
      cwd: stage.dir,
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
    const ms = performance.now() - start
    if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stdout}`)
    return { ms, stdout }
  }
  async function ours(): Promise<number> {
    const { ms, stdout } = await run([MAIN, 'spawn', 'bench', 'Hello', '--wait', 'accepted', '--json'])
    if (!stdout.includes('"durability": "ledger"') && !stdout.includes('"durability":"ledger"'))
      throw new Error(`not answered from the ledger: ${stdout}`)
    return ms
  }
  const bare = async (): Promise<number> => (await run(['-e', '0'])).ms

  for (let n = 0; n < WARM_UP; n++) {
    await ours()
    await bare()
  }
  const measured = await measurePairs(stage.pairs, ours, bare)
  return [
    {
      bench: 'spawn',
      title: '`drover spawn --wait accepted` from start to end, against a bare Node',
      unit: 'ms',
      measured: summarize(measured.map((pair) => pair.ours - pair.bare)),
      goal: { op: '<=', value: 120 },
      details: [
        { label: 'drover', value: median(measured.map((pair) => pair.ours)), unit: 'ms' },
        { label: 'node', value: median(measured.map((pair) => pair.bare)), unit: 'ms' },
      ],
    },
  ]
}

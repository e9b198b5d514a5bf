/** The built `drover board`, as its users run it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Stage } from './stage.ts'

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const STOP_TIMEOUT_MS = 10_000

export interface BenchBoard {
  readonly url: string
  readonly pid: number
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
}

interface BoardOptions {
  readonly namespace: string
  readonly dataDir: string
}

/** Starts a board on a free port; resolves with its URL when it answers. The stage stops it. */
export async function startBoard(stage: Stage, options: BoardOptions): Promise<string> {
  return (await startBoardProcess(stage, options)).url
}

/** The same, for whoever looks at its process. @param port that of one that is gone; 0: a free one */
export async function startBoardProcess(
  stage: Stage,
  { namespace, dataDir }: BoardOptions,
  port = 0,
): Promise<BenchBoard> {
  const child = spawn(process.execPath, [MAIN, 'board', '--port', String(port), '--json', '--while-stdin'], {
    cwd: stage.dir,
    env: {
      PATH: process.env.PATH,
      HOME: join(stage.dir, 'home'),
      REDIS_URL: stage.redisUrl,
      DROVER_NAMESPACE: namespace,
      DROVER_DATA_DIR: dataDir,
      DROVER_LOG_LEVEL: 'warn',
    },
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  child.stdin.on('error', () => undefined)
  const exited = once(child, 'exit')
  const stderr = text(child.stderr)
  stage.defer(async () => {
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await exited
    clearTimeout(timer)
  })
  const lines = createInterface({ input: child.stdout })
  const said = once(lines, 'line').then(([line]) => String(line))
  const answer = await Promise.race([said, exited.then(() => stderr)])
  if (!answer.startsWith('{"success":true')) throw new Error(`\`drover board\` did not start: ${answer}`)
  const ready: { readonly url: string } = JSON.parse(answer)
  return {
    url: ready.url,
    pid: child.pid ?? 0,
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

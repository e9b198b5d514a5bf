/** A role of the product as a process: the built CLI, as a user starts it. */
import type { Drover, Started } from '../../support/drover.ts'
import { until } from '../../support/until.ts'

export interface Role {
  readonly pid: number
  /** The document that it printed when it was ready. */
  readonly ready: Readonly<Record<string, unknown>>
  /** What it wrote to stderr so far: its log. */
  log(): string
  /** SIGTERM, twice for a quick end; resolves with the exit code. */
  stop(): Promise<number | null>
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  readonly exited: Promise<number | null>
}

const READY_TIMEOUT_MS = 30_000
/** It finds what hangs. Eight pods that stop at once on a machine that stands still now and then have taken ten seconds. */
const STOP_TIMEOUT_MS = 30_000

/** Resolves once the role has said that it is ready. */
export async function startRole(
  drover: Drover,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Role> {
  const started = drover.start([...args, '--json'], { env })
  let gone = false
  void started.exited.then(() => (gone = true))
  await until(() => gone || started.stdout().includes('\n'), {
    timeoutMs: READY_TIMEOUT_MS,
    message: () => `drover ${args.join(' ')} to be ready: ${started.stderr()}`,
  })
  if (!started.stdout().includes('\n')) {
    throw new Error(`drover ${args.join(' ')} ended before it was ready: ${started.stderr()}`)
  }
  const role = roleOf(started, args)
  if (role.ready['success'] === true) return role
  await started.exited
  throw new Error(`drover ${args.join(' ')} did not start: ${started.stdout()}`)
}

function roleOf(started: Started, args: readonly string[]): Role {
  return {
    pid: started.pid,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what --json promises
    ready: JSON.parse(started.stdout().split('\n')[0] ?? '') as Record<string, unknown>,
    log: started.stderr,
    exited: started.exited,
    async stop() {
      started.kill('SIGCONT')
      started.kill('SIGTERM')
      started.kill('SIGTERM')
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<'late'>((done) => {
        timer = setTimeout(() => done('late'), STOP_TIMEOUT_MS)
      })
      const code = await Promise.race([started.exited, late])
      clearTimeout(timer)
      if (code !== 'late') return code
      started.kill('SIGKILL')
      await started.exited
      throw new Error(
        `drover ${args.join(' ')} did not stop within ${STOP_TIMEOUT_MS} ms: ${started.stderr()}`,
      )
    },
    async kill() {
      started.kill('SIGKILL')
      await started.exited
    },
  }
}

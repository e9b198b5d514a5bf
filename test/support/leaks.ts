/**
 * A directory of its own per test, and the proof that the test left nothing: no process, no listening port, no
 * temporary file.
 *
 * A process belongs to the test when its environment, its arguments or its working directory names the test's
 * directory. That also finds what daemonised itself or was given a new parent. Linux only (`/proc`): elsewhere only
 * files are checked.
 */
import { mkdir, mkdtemp, readdir, readFile, readlink, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { until } from './until.ts'

const SETTLE_MS = 5000
/** Of all tests: a process of ours starts in half the time, and npm does not put its own into TMPDIR. */
const COMPILE_CACHE = resolve(import.meta.dirname, '../../node_modules/.cache/tests')

export interface Scratch {
  /** For everything the test makes: workspaces, data, homes. */
  readonly dir: string
  /** Give it to every process the test starts. */
  readonly env: Readonly<Record<'TMPDIR' | 'DROVER_TEST_MARK' | 'NODE_COMPILE_CACHE', string>>
  /** The live processes of the test: `1234 redis-server *:0`. */
  processes(): Promise<string[]>
  /**
   * For `afterEach`: waits until processes and ports are gone, then removes the directory. What is still there after
   * 5 s fails the test by name, and is ended, so that the next test is not disturbed by it.
   */
  check(): Promise<void>
}

/**
 * Makes the test's directory and notes what this process listens on already. What ends by itself gets `settleMs`.
 */
export async function createScratch({ settleMs = SETTLE_MS } = {}): Promise<Scratch> {
  // The real path: /proc names a working directory by it.
  const dir = await realpath(await mkdtemp(join(tmpdir(), 'drover-test-')))
  const temp = join(dir, 'tmp')
  await mkdir(temp)
  const portsBefore = new Set(await ownListeningPorts())
  const leftPorts = async (): Promise<number[]> =>
    (await ownListeningPorts()).filter((port) => !portsBefore.has(port))
  return {
    dir,
    env: { TMPDIR: temp, DROVER_TEST_MARK: dir, NODE_COMPILE_CACHE: COMPILE_CACHE },
    processes: () =>
      processesNaming(dir).then((found) => found.map(({ pid, command }) => `${pid} ${command}`)),
    async check() {
      const left: string[] = []
      const settled = await until(
        async () => (await processesNaming(dir)).length === 0 && (await leftPorts()).length === 0,
        { timeoutMs: settleMs },
      ).catch(() => false)
      if (!settled) {
        for (const { pid, command } of await processesNaming(dir)) {
          left.push(`process ${pid} ${command}`)
          endProcess(pid)
        }
        left.push(...(await leftPorts()).map((port) => `listening port ${port}`))
      }
      left.push(...(await readdir(temp)).map((name) => `temporary file ${name}`))
      await rm(dir, { recursive: true, force: true, maxRetries: 5 })
      if (left.length > 0) throw new Error(`The test left: ${left.join(', ')}`)
    },
  }
}

interface FoundProcess {
  readonly pid: number
  readonly command: string
}

/** Live processes, this one excepted, that name the text in environment, arguments or working directory. */
export async function processesNaming(text: string): Promise<FoundProcess[]> {
  const pids = (await readdir('/proc').catch(() => [])).map(Number).filter(Number.isSafeInteger)
  const found: FoundProcess[] = []
  for (const pid of pids) {
    if (pid === process.pid) continue
    const [environment, argv, cwd] = await Promise.all([
      readFile(`/proc/${pid}/environ`, 'utf8').catch(() => ''),
      readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
      readlink(`/proc/${pid}/cwd`).catch(() => ''),
    ])
    if (![environment, argv, cwd].some((part) => part.includes(text))) continue
    found.push({
      pid,
      command: argv
        .replaceAll(/[\0\s]+/g, ' ')
        .trim()
        .slice(0, 200),
    })
  }
  return found
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself in the meantime.
  }
}

/** TCP ports that this process listens on: its socket inodes among the listening ones. */
async function ownListeningPorts(): Promise<number[]> {
  const inodes = new Set<string>()
  for (const fd of await readdir('/proc/self/fd').catch(() => [])) {
    const target = await readlink(`/proc/self/fd/${fd}`).catch(() => '')
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1]
    if (inode !== undefined) inodes.add(inode)
  }
  const tables = await Promise.all(
    ['/proc/self/net/tcp', '/proc/self/net/tcp6'].map((file) => readFile(file, 'utf8').catch(() => '')),
  )
  return tables
    .flatMap((table) => table.split('\n').slice(1))
    .map((row) => row.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === '0A' && inodes.has(inode ?? ''))
    .map(([, local]) => Number.parseInt(local?.split(':')[1] ?? '', 16))
}

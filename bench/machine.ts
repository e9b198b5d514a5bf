/** On what it was measured. */
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { probeVersion } from '../src/setup/program.ts'
import { findRedisServer } from '../src/setup/redis-server.ts'
import { claudePath } from '../test/support/claude.ts'

export interface Machine {
  /** ISO 8601, UTC. */
  readonly measured_at: string
  readonly cpus: number
  readonly cpu_model: string
  readonly memory_gb: number
  readonly node: string
  readonly redis: string
  readonly claude: string
  /** Of the last minute, before anything was started. */
  readonly load_average: number
}

/** Throws where Redis or the CLI is missing. */
export async function readMachine(): Promise<Machine> {
  const load = loadavg()[0] ?? Number.NaN
  return {
    measured_at: new Date().toISOString(),
    cpus: availableParallelism(),
    cpu_model: cpus()[0]?.model.trim() ?? 'unknown',
    memory_gb: Math.round(totalmem() / 2 ** 30),
    node: process.version.slice(1),
    redis: await redisVersion(),
    claude: await claudeVersion(),
    load_average: Math.round(load * 100) / 100,
  }
}

export function formatMachine(machine: Machine): string {
  const { cpus, cpu_model, memory_gb, node, redis, claude, load_average } = machine
  return [
    `${machine.measured_at} · ${cpus} CPUs (${cpu_model}), ${memory_gb} GB`,
    `Node ${node} · Redis ${redis} · Claude CLI ${claude} · load average at the start ${load_average}`,
  ].join('\n')
}

async function redisVersion(): Promise<string> {
  const toolsDir = fileURLToPath(new URL('../data/tools', import.meta.url))
  const { version } = await findRedisServer({
    toolsDir,
    searchPath: process.env.PATH ?? '',
    say: () => undefined,
  })
  return version
}

async function claudeVersion(): Promise<string> {
  const answer = await probeVersion(claudePath(), { PATH: process.env.PATH ?? '' })
  if ('version' in answer) return answer.version
  throw new Error(`The Claude CLI does not run: ${answer.problem}`)
}

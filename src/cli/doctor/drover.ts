/** Checks of Drover's own: ledger, agent types, the board's port. */
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Config } from '../../config/settings.ts'
import { loadAgentSpecs } from '../../config/spec-file.ts'
import { isDroverError, messageOf } from '../../core/errors.ts'
import { openLedgerReader } from '../../ledger/open.ts'
import { createHttpClient } from '../../producer/client.ts'
import { fail, ok, type Check } from './check.ts'

/** Can it be opened, with the schema of this version? None is made. */
export function checkLedger(dataDir: string): Check {
  const file = join(dataDir, 'orchestrator.db')
  if (!existsSync(file)) return ok('ledger', `none yet; the first start makes ${file}`)
  try {
    openLedgerReader(file).close()
    return ok('ledger', file)
  } catch (error) {
    return fail(
      'ledger',
      messageOf(error),
      'Run "drover migrate"; if that fails too, bring back a backup of the file.',
    )
  }
}

/** Are the agent types valid? */
export function checkSpecs(config: Config, cwd: string): Check {
  try {
    const { specs, path } = loadAgentSpecs({ path: config.agentSpecs, cwd })
    return ok('agent types', `${[...specs.keys()].join(', ')} (${path})`)
  } catch (error) {
    if (!isDroverError(error)) throw error
    return fail('agent types', messageOf(error), 'Correct the file; "drover types validate" checks it.')
  }
}

/** Free, or held by a Drover. */
export async function checkPort({ board: { host, port } }: Config): Promise<Check> {
  const at = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  const holder = await holderOf(`http://${at}`)
  if (holder !== null) return ok('port', `${at} is held by Drover ${holder}`)
  const problem = await listenProblem(host, port)
  if (problem === null) return ok('port', `${at} is free`)
  return fail('port', `${at}: ${problem}`, 'End what listens there, or choose another port with DROVER_PORT.')
}

interface Health {
  readonly service?: unknown
  readonly version?: unknown
  readonly pid?: unknown
}

async function holderOf(url: string): Promise<string | null> {
  const client = createHttpClient({ url })
  // Whoever listens there may not speak HTTP, or never answer.
  const signal = AbortSignal.timeout(HEALTH_TIMEOUT_MS)
  try {
    const health = await client.request<Health>({ method: 'GET', path: '/healthz', signal })
    return health.service === 'drover' ? `${String(health.version)} (pid ${String(health.pid)})` : null
  } catch {
    return null
  }
}

const HEALTH_TIMEOUT_MS = 2000

function listenProblem(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error) => resolve(messageOf(error)))
    server.listen(port, host, () => server.close(() => resolve(null)))
  })
}

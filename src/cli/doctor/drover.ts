/** Checks of Drover's own: ledger, agent types, the board's port. */
import { accessSync, constants, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Config } from '../../config/settings.ts'
import { loadAgentSpecs } from '../../config/spec-file.ts'
import { isDroverError, messageOf } from '../../core/errors.ts'
import { listBackups, restoreHint } from '../../ledger/backups.ts'
import { checkFile } from '../../ledger/check.ts'
import { damagedError } from '../../ledger/database.ts'
import { isInUse } from '../../ledger/in-use.ts'
import { readFileFacts } from '../../ledger/file-facts.ts'
import { openLedgerReader } from '../../ledger/open.ts'
import { createHttpClient } from '../../producer/http-client.ts'
import { ago } from '../format.ts'
import { fail, ok, warn, type Check } from './check.ts'

/** Larger files are not read through while somebody waits; `drover ledger check` does it. */
const CHECKED_BYTES = 500 * 1024 * 1024

/** Sound, with the schema of this version? How large, and how old is its last backup? None is made. */
export function checkLedger(dataDir: string): Check {
  const file = join(dataDir, 'orchestrator.db')
  try {
    if (statSync(file, { throwIfNoEntry: false }) === undefined) return missingLedger(file)
    for (const path of [dataDir, file]) accessSync(path, constants.R_OK | constants.W_OK)
  } catch (error) {
    return fail('ledger', messageOf(error), `Give this user read and write access to ${dataDir} and ${file}.`)
  }
  try {
    openLedgerReader(file).close()
    const { bytes, schema } = readFileFacts(file)
    const checked = bytes > CHECKED_BYTES ? null : checkFile(file)
    const [damage] = checked?.damage ?? []
    if (damage !== undefined) throw damagedError(file, damage)
    const facts = [
      file,
      `${((bytes + walBytes(file)) / 1024 / 1024).toFixed(1)} MB`,
      `schema ${schema}`,
      backupText(file),
      checked === null ? 'too large to be checked here' : 'checked',
    ].join(', ')
    if (checked === null || checked.totals.length === 0) return ok('ledger', facts)
    return warn(
      'ledger',
      `${facts}; the totals of ${checked.totals.length} or more sessions disagree (${checked.totals[0]})`,
      'Stop Drover and run "drover ledger rebuild".',
    )
  } catch (error) {
    return fail(
      'ledger',
      messageOf(error),
      `Run "drover migrate"; if that fails too, stop Drover and run "${restoreHint(file)}".`,
    )
  }
}

/** What is written and not yet in the file: of a young ledger all of it. */
function walBytes(file: string): number {
  return statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0
}

/** Gone while somebody writes into it, or not made yet? */
function missingLedger(file: string): Check {
  if (isInUse(file)) {
    return fail(
      'ledger',
      `${file} was moved or deleted while a board uses it`,
      `Put it back. If it is lost: stop Drover, and run "${restoreHint(file)}".`,
    )
  }
  return ok('ledger', `none yet; the first start makes ${file}`)
}

function backupText(file: string): string {
  const [newest] = listBackups(file)
  return newest === undefined
    ? 'no backup in its directory'
    : `backup ${ago(newest.at.toISOString(), new Date())} old`
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

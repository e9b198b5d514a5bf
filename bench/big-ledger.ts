/**
 * Reading a large ledger over HTTP: 50,000 sessions and 10,000,000 messages, each list, cost and session page and the
 * search, from a real board beside which nothing else runs. The first two requests of each are not counted: a page that
 * nobody has asked for yet comes from the disk. With `--ledger DIR` the ledger that is kept there is asked, and made
 * where none is.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { COST_BY } from '../src/core/request.ts'
import { vouch } from '../src/queue/incarnation.ts'
import { keysOf } from '../src/queue/keys.ts'
import { startBoard } from './board.ts'
import { FIRST_DAY, agentIdOf, makeLedger, sessionIdOf, taskIdOf, type LedgerSize } from './ledger-fill.ts'
import { summarize, type Result } from './report.ts'
import type { Stage } from './stage.ts'

const SIZE: LedgerSize = { sessions: 50_000, messages: 10_000_000 }
const QUICK_SIZE: LedgerSize = { sessions: 1000, messages: 200_000 }
const REQUESTS = 100
const QUICK_REQUESTS = 5
const WARM_UP = 2
const NAMESPACE = 'bench-big-ledger'
const PAGE_GOAL_MS = 100
const SEARCH_GOAL_MS = 300

/** Paths under `/api/v1`, another one for each request. */
type Paths = (n: number, size: LedgerSize) => string

const PAGES: Readonly<Record<string, Paths>> = {
  sessions: () => '/sessions',
  'sessions, a page in the middle': (n) => `/sessions?until=${dayOf(n)}`,
  'sessions by status': () => '/sessions?status=failed',
  'sessions by type and day': (n) => `/sessions?agent_type=architect&since=${dayOf(n)}`,
  'sessions by words of the prompt': (n, { sessions }) => `/sessions?q=number%20${pick(n, sessions)}`,
  'sessions by what nobody asked': (n) => `/sessions?q=nothing%20like%20${n}`,
  'a session': (n, { sessions }) => `/sessions/${sessionIdOf(pick(n, sessions))}`,
  'a page of its events': (n, { sessions }) => `/sessions/${sessionIdOf(pick(n, sessions))}/events?limit=200`,
  'events of all': () => '/events',
  'events of all by type': () => '/events?type=drover.session.ended',
  agents: () => '/agents',
  'an agent': (n, { sessions }) => `/agents/${agentIdOf(pick(n, sessions))}`,
  tasks: () => '/tasks',
  'a task': (n, { sessions }) => `/tasks/${taskIdOf(pick(n, sessions) - (pick(n, sessions) % 3))}`,
  ...Object.fromEntries(
    COST_BY.flatMap((by) => [
      [`cost by ${by}, of all time`, () => `/cost?by=${by}`],
      [`cost by ${by}, of a week`, () => `/cost?by=${by}&since=2026-11-07`],
    ]),
  ),
}
const SEARCHES: Readonly<Record<string, Paths>> = {
  'search for a rare word': (n) => `/search?q=rare${pick(n, 5000)}`,
  'search for a word in nearly every message': () => '/search?q=word0',
  'search for two words': (n) => `/search?q=word${n % 50}%20word${(n * 7) % 400}`,
  'search for a common and a rare word': (n) => `/search?q=word0%20rare${pick(n, 5000)}`,
  'search for two words in every second message each, never together': () => '/search?q=even%20odd',
  'search for what nobody said': (n) => `/search?q=word0%20unsaid${n}`,
}

/** Makes it in this directory, where it is kept; answers its file. */
export const makeBigLedger = (dir: string): string => makeLedger(dir, keysOf(NAMESPACE).events, SIZE)

export async function benchBigLedger(stage: Stage): Promise<readonly Result[]> {
  const size = stage.quick ? QUICK_SIZE : SIZE
  const requests = stage.quick ? QUICK_REQUESTS : REQUESTS
  const keys = keysOf(NAMESPACE)
  const dataDir = stage.ledgerDir ?? join(stage.dir, 'ledger')
  const began = performance.now()
  const path = makeLedger(dataDir, keys.events, size)
  const builtMs = performance.now() - began
  const { size: bytes } = await stat(path)
  await vouch(stage.redis, keys, 'new')
  const board = await startBoard(stage, { namespace: NAMESPACE, dataDir })

  const results: Result[] = []
  const asked = [
    ...Object.entries(PAGES).map(([name, paths]) => ({ name, paths, goalMs: PAGE_GOAL_MS })),
    ...Object.entries(SEARCHES).map(([name, paths]) => ({ name, paths, goalMs: SEARCH_GOAL_MS })),
  ]
  for (const { name, paths, goalMs } of asked) {
    const times: number[] = []
    for (let n = 0; n < requests + WARM_UP; n++) {
      const tookMs = await request(`${board}/api/v1${paths(n, size)}`)
      if (n >= WARM_UP) times.push(tookMs)
    }
    results.push({
      bench: 'big-ledger',
      title: name,
      unit: 'ms',
      measured: summarize(times),
      goal: { op: '<=', value: goalMs, p99: true },
      details:
        results.length > 0
          ? []
          : [
              { label: 'sessions', value: size.sessions, unit: '' },
              { label: 'messages', value: size.messages, unit: '' },
              { label: 'the file', value: bytes / 1e9, unit: 'GB' },
              { label: 'made in', value: builtMs / 1000, unit: 's' },
            ],
    })
  }
  return results
}

/** Until the whole answer is here. */
async function request(url: string): Promise<number> {
  const began = performance.now()
  const response = await fetch(url)
  const text = await response.text()
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text.slice(0, 300)}`)
  return performance.now() - began
}

/** Spread over all. */
const pick = (n: number, count: number): number => (n * 7919) % count

/** A day of the half year in which the sessions were. */
const dayOf = (n: number): string =>
  new Date(FIRST_DAY + (pick(n, 173) + 2) * 86_400_000).toISOString().slice(0, 10)

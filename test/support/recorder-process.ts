/**
 * A recorder as a process of its own, that kills itself where it is told to:
 * `recorder-process.ts <redis url> <namespace> <ledger> [append|settle|commit <n>]` dies at the nth event written,
 * the nth session settled, or right after the nth commit.
 */
import { Redis } from 'ioredis'
import { openLedger, type Ledger } from '../../src/ledger/open.ts'
import { keysOf } from '../../src/queue/keys.ts'
import { createRecorder } from '../../src/recorder/recorder.ts'

const [url = '', namespace = '', path = '', where = '', nth = '0'] = process.argv.slice(2)
let left = Number(nth)

function reached(place: string): void {
  if (place !== where || --left > 0) return
  process.kill(process.pid, 'SIGKILL')
}

function dying(ledger: Ledger): Ledger {
  const { sessionEvents, sessions } = ledger.tables
  return {
    ...ledger,
    tables: {
      ...ledger.tables,
      sessionEvents: {
        ...sessionEvents,
        append(event) {
          reached('append')
          return sessionEvents.append(event)
        },
      },
      sessions: {
        ...sessions,
        settle(sessionId) {
          reached('settle')
          sessions.settle(sessionId)
        },
      },
    },
  }
}

const redis = new Redis(url, { maxRetriesPerRequest: null })
const log = (...details: unknown[]): void => void process.stderr.write(`${JSON.stringify(details)}\n`)
redis.on('error', log)
createRecorder({
  redis,
  keys: keysOf(namespace),
  ledger: dying(openLedger(path)),
  log: { warn: log, error: log, info: log },
  leaseTtlMs: 1000,
  // Called between the commit and everything that follows it.
  onCommit: () => reached('commit'),
}).start()

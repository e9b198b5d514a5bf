/**
 * A recorder as a process of its own: `recorder-process.ts <redis url> <namespace> <ledger>`. It says `ready`, waits
 * for its fate (`fate.ts`) as a line of JSON on stdin, and records. Of what is recorded it leaves as little on the stream
 * as it can, so that an entry that was trimmed too early would be missed. Its log goes to stderr.
 */
import { createInterface } from 'node:readline'
import { Redis } from 'ioredis'
import { openLedger } from '../../src/ledger/open.ts'
import { keysOf } from '../../src/queue/keys.ts'
import { createRecorder } from '../../src/recorder/recorder.ts'
import { createStreamCut } from '../../src/recorder/stream-cut.ts'
import { meet, say, type Fate } from './fate.ts'

const [url = '', namespace = '', path = ''] = process.argv.slice(2)
const log = (...details: unknown[]): void => void process.stderr.write(`${JSON.stringify(details)}\n`)

createInterface({ input: process.stdin }).once('line', (line) => {
  const ledger = openLedger(path)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what recorder-child.ts writes
  meet(JSON.parse(line) as Fate)
  const redis = new Redis(url, { maxRetriesPerRequest: null })
  redis.on('error', log)
  createRecorder({
    redis,
    keys: keysOf(namespace),
    ledger,
    log: { warn: log, error: log, info: log },
    leaseTtlMs: 1000,
    createCut: () => createStreamCut(0, 1),
  }).start()
})
say({ ready: true })

/** What a recorder is held against: events as rows of the ledger's own table, inserted by better-sqlite3 alone. */
import { join } from 'node:path'
import { splitEvent } from '../src/core/envelope.ts'
import { openDatabase } from '../src/ledger/database.ts'
import { openLedger } from '../src/ledger/open.ts'
import { ownCpuMs } from './cpu.ts'
import type { Stage } from './stage.ts'

/** Of the recorder (`recorder/event-stream.ts`). */
export const TRANSACTION_ROWS = 1000

/** What one batch of events took. */
export interface Cost {
  readonly wallMs: number
  readonly cpuMs: number
}

/**
 * Inserts events, given as the text that is on the stream, with the ledger's durability into its table with indexes,
 * checks and all, in transactions of the recorder's size. Taking the texts apart is not in what it answers.
 */
export function prepareBareInserts(stage: Stage): (texts: readonly string[]) => Cost {
  const file = join(stage.dir, 'bare.db')
  openLedger(file).close()
  const db = openDatabase(file)
  stage.defer(() => db.close())
  const insert = db.prepare(`INSERT INTO session_event
    (session_id, seq, agent_id, agent_type, epoch, line, ts, type, late, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
  const insertAll = db.transaction((rows: readonly (readonly unknown[])[]) => {
    for (const row of rows) insert.run(...row)
  })

  return (texts) => {
    const rows = texts.map(rowOf)
    const cpuBefore = ownCpuMs()
    const start = performance.now()
    for (let at = 0; at < rows.length; at += TRANSACTION_ROWS)
      insertAll(rows.slice(at, at + TRANSACTION_ROWS))
    return { wallMs: performance.now() - start, cpuMs: ownCpuMs() - cpuBefore }
  }
}

function rowOf(text: string): readonly unknown[] {
  const { header, payloadText } = splitEvent(text)
  const { session_id, seq, agent_id, agent_type, epoch, line, ts, type } = header
  return [session_id, seq, agent_id, agent_type, epoch, line, ts, type, 0, payloadText]
}

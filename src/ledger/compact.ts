/**
 * Retention applied, and the space of deleted rows given back to the disk by one `VACUUM`: it needs as much free disk
 * as the ledger uses, and what is to be recorded meanwhile waits on the stream. Dying in it leaves the file as it was.
 */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { openDatabase, ledgerError } from './database.ts'
import { openLedger } from './open.ts'
import { prune, type RetentionLimits } from './prune.ts'
import { refuseDamaged } from './refuse-damaged.ts'

/** What it brought. */
export interface Compacted {
  readonly prunedSessions: number
  readonly prunedLines: number
  /** Of the file, its journal not counted. */
  readonly bytesBefore: number
  readonly bytesAfter: number
  readonly durationMs: number
}

/** @throws DroverError `ledger_unavailable`: damaged, and left as it is; locked; the disk is full */
export async function compact(path: string, limits: RetentionLimits): Promise<Compacted> {
  const began = performance.now()
  const file = resolve(path)
  refuseDamaged(file)
  const opened = openLedger(file)
  try {
    const bytesBefore = opened.retention.size().fileBytes
    const pruned = await prune(opened, limits)
    vacuum(file)
    return {
      prunedSessions: pruned.sessions,
      prunedLines: pruned.lines,
      bytesBefore,
      bytesAfter: statSync(file).size,
      durationMs: Math.round(performance.now() - began),
    }
  } catch (error) {
    throw ledgerError(file, error)
  } finally {
    opened.close()
  }
}

/** On a connection that waits for the recorder's transactions. */
function vacuum(file: string): void {
  const db = openDatabase(file)
  try {
    db.exec('VACUUM')
    db.pragma('wal_checkpoint(TRUNCATE)')
  } finally {
    db.close()
  }
}

/**
 * The projections made again from the events: `drover ledger rebuild`.
 *
 * One transaction, with the ledger to itself: readers see the old rows until it commits, and dying at any moment
 * leaves them. It goes through the events page by page, so memory does not grow with the file; the write-ahead log
 * grows by what the projections take.
 */
import { resolve } from 'node:path'
import { aboutFile } from '../ledger/database.ts'
import { holdAlone } from '../ledger/in-use.ts'
import { openForRebuild } from '../ledger/open.ts'
import type { Changed } from '../ledger/rebuild-tables.ts'
import { refuseDamaged } from '../ledger/refuse-damaged.ts'
import { isAboutContent } from './record-batch.ts'
import { noEffects } from './handler.ts'
import { project } from './projection.ts'
import { settle } from './settle.ts'

/** What a rebuild did. */
export interface Rebuilt {
  readonly ledger: string
  readonly events: number
  /** Events that no row could be made from, now as when they were recorded; they are in `recorder_fault`. */
  readonly unprojected: number
  /** Sessions whose raw lines retention took: their rows were kept as they were. */
  readonly kept: number
  readonly changed: Changed
  readonly durationMs: number
}

/**
 * Makes all projections of the ledger at `path` anew.
 *
 * @throws DroverError `ledger_unavailable` while a recorder uses the ledger, or where it is damaged or cannot be opened or
 *   written; nothing was changed then
 */
export function rebuild(path: string): Rebuilt {
  const began = performance.now()
  const ledger = resolve(path)
  const hold = holdAlone(ledger, 'rebuild')
  try {
    refuseDamaged(ledger)
    const opened = openForRebuild(ledger)
    try {
      const counts = aboutFile(ledger, () => opened.transaction(() => replay(opened)))
      return { ledger, ...counts, durationMs: Math.round(performance.now() - began) }
    } finally {
      opened.close()
    }
  } finally {
    hold.release()
  }
}

type Opened = ReturnType<typeof openForRebuild>

function replay(opened: Opened): Omit<Rebuilt, 'ledger' | 'durationMs'> {
  const { tables, rebuildTables } = opened
  let events = 0
  let unprojected = 0
  rebuildTables.empty()
  for (const page of opened.events()) {
    const effects = noEffects()
    for (const event of page) {
      events += 1
      try {
        // A part that can be undone alone, as where it was recorded.
        opened.transaction(() => project(tables, event, effects))
      } catch (error) {
        // SQLite ends the whole transaction on some errors: nothing may be written behind it.
        if (!isAboutContent(error) || !opened.inTransaction()) throw error
        unprojected += 1
      }
    }
    settle(tables, effects)
  }
  // What is missing or refused is no event, and counts all the same.
  const incomplete = [...tables.faults.sessionIds(), ...tables.gaps.sessionIds()]
  settle(tables, { ...noEffects(), unsettled: new Set(incomplete) })
  // The board fills it again, from the events that are here.
  opened.search.clear()
  const kept = rebuildTables.putBack()
  return { events, unprojected, kept, changed: rebuildTables.changed() }
}

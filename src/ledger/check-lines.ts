/**
 * Are the lines of every agent still the ones that were recorded? Each is read again and held against two digests
 * (`core/lines-digest.ts`): the one that the recorder kept as the lines came, and the one that the agent's pod put into
 * its closing event. SQLite keeps no checksums: this is what finds a character that was changed inside a line.
 *
 * An agent at a time, each in a snapshot of its own: memory does not grow with the ledger, and a board that records
 * meanwhile is not kept from cutting its journal back. Whoever can write to the file can write digests too: it proves
 * that nothing was changed by accident or by hand, not that nobody could have.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createLinesDigest } from '../core/lines-digest.ts'
import { ledgerError, openDatabaseReadOnly, type Db } from './database.ts'

/** An agent whose lines are not what was recorded. */
export interface ChangedLines {
  readonly agent_id: string
  readonly session_id: string
  readonly problem: 'altered' | 'missing' | 'added'
  /** How many are here, and how many there were. */
  readonly lines: number
  readonly recorded_lines: number
}

/** What was found; the members are those of the command's answer. */
export interface LinesCheck {
  readonly agents: number
  readonly lines: number
  /** Agents whose lines are, each of them, what was recorded. */
  readonly verified: number
  /** Agents of which lines were never recorded: their sessions are marked incomplete. */
  readonly incomplete: number
  /** Agents whose lines retention took away, or that were recorded before digests were kept. */
  readonly unverifiable: number
  /** At most `MOST_CHANGED`. */
  readonly changed: readonly ChangedLines[]
}

const MOST_CHANGED = 20
/** So often signals are looked at, and progress is told. */
const TURN_MS = 100

interface Recorded {
  readonly agent_id: string
  readonly epoch: number
  readonly session_id: string
  readonly lines: number
  readonly digest: string | null
  /** What the closing event says; null while the agent runs, or where its pod never came back. */
  readonly spool_lines: number | null
  readonly lines_digest: string | null
}

type Verdict = 'verified' | 'incomplete' | 'unverifiable' | ChangedLines['problem']

/**
 * Reads every line; blocks for an agent at a time, so that it can be interrupted. null for a file of before digests
 * were kept.
 *
 * @param onProgress told how much is done, 0…1
 * @throws DroverError `ledger_unavailable` where the file cannot be read
 */
export async function checkLines(
  path: string,
  onProgress: (share: number) => void,
): Promise<LinesCheck | null> {
  let db: Db | null = null
  try {
    db = openDatabaseReadOnly(path)
    return hasDigests(db) ? await look(db, onProgress) : null
  } catch (error) {
    throw ledgerError(path, error)
  } finally {
    db?.close()
  }
}

async function look(db: Db, onProgress: (share: number) => void): Promise<LinesCheck> {
  const selectTotal = db.prepare<[], number>('SELECT total(lines) FROM recorded_spool').pluck()
  const selectPruned = db
    .prepare<[string], number>('SELECT pruned_at IS NOT NULL FROM agent_sessions WHERE session_id = ?')
    .pluck()
  const isPruned = (sessionId: string): boolean => selectPruned.get(sessionId) === 1
  const readNext = createReadAgent(db)

  const total = selectTotal.get() ?? 0
  const counts = { verified: 0, incomplete: 0, unverifiable: 0 }
  const changed: ChangedLines[] = []
  let agents = 0
  let lines = 0
  let turnBegan = performance.now()
  for (let read = readNext(null); read !== null; read = readNext(read.recorded)) {
    const { recorded, here } = read
    agents += 1
    lines += here.lines
    if (performance.now() - turnBegan > TURN_MS) {
      onProgress(Math.min(lines / total, 1))
      await nextTurn()
      turnBegan = performance.now()
    }
    // Asked after the lines were read: retention may be at work, and marks a session with the first line that it takes.
    const verdict = isPruned(recorded.session_id) ? 'unverifiable' : verdictOf(recorded, here)
    if (verdict === 'verified' || verdict === 'incomplete' || verdict === 'unverifiable') counts[verdict] += 1
    else if (changed.length < MOST_CHANGED) {
      const { agent_id, session_id } = recorded
      changed.push({
        agent_id,
        session_id,
        problem: verdict,
        lines: here.lines,
        recorded_lines: recorded.lines,
      })
    }
  }
  return { agents, lines, ...counts, changed }
}

interface Here {
  readonly lines: number
  readonly digest: string
}

/** Reads the agent after `before`, with its lines, in one snapshot; null after the last one. */
function createReadAgent(
  db: Db,
): (before: Pick<Recorded, 'agent_id' | 'epoch'> | null) => { recorded: Recorded; here: Here } | null {
  const selectNext = db.prepare<[string, number], Recorded>(
    `SELECT r.agent_id, r.epoch, r.session_id, r.lines, r.digest,
       CASE WHEN a.tail_unknown THEN NULL ELSE a.spool_lines END AS spool_lines,
       CASE WHEN a.tail_unknown THEN NULL ELSE a.lines_digest END AS lines_digest
     FROM recorded_spool AS r LEFT JOIN agent_lifecycle AS a USING (agent_id, epoch)
     WHERE (r.agent_id, r.epoch) > (?, ?) ORDER BY r.agent_id, r.epoch LIMIT 1`,
  )
  const selectLines = db.prepare<[string, number], { readonly line: number; readonly payload: string }>(
    'SELECT line, payload FROM session_event WHERE agent_id = ? AND epoch = ? AND line IS NOT NULL',
  )

  return (before) =>
    db.transaction(() => {
      const recorded = selectNext.get(before?.agent_id ?? '', before?.epoch ?? -1)
      if (recorded === undefined) return null
      const digest = createLinesDigest()
      let lines = 0
      for (const { line, payload } of selectLines.iterate(recorded.agent_id, recorded.epoch)) {
        digest.add(line, payload)
        lines += 1
      }
      return { recorded, here: { lines, digest: digest.hex() } }
    })()
}

function verdictOf({ lines, digest, spool_lines, lines_digest }: Recorded, here: Here): Verdict {
  if (here.lines < lines) return 'missing'
  if (here.lines > lines || (spool_lines !== null && lines > spool_lines)) return 'added'
  if (digest === null) return 'unverifiable'
  if (here.digest !== digest) return 'altered'
  if (spool_lines !== null && lines < spool_lines) return 'incomplete'
  return lines_digest === null || lines_digest === digest ? 'verified' : 'altered'
}

function hasDigests(db: Db): boolean {
  const found = db.prepare(`SELECT count(*) FROM sqlite_schema WHERE name = 'recorded_spool'`).pluck().get()
  return found === 1
}

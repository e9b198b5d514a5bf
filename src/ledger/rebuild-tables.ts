/** Emptying and refilling the projections, with what cannot be made again kept. */
import type { Db } from './database.ts'
import { PROJECTION_TABLES, type ProjectionTable } from './projections.ts'

/** Rows that are another after the rebuild than before, by table. */
export type Changed = Readonly<Record<string, number>>

/** The projections in the middle of a rebuild. Call the three in this order, in one transaction. */
export interface RebuildTables {
  /** Notes what there is, and empties the tables. */
  empty(): void
  /** The rows of pruned sessions are put back as they were. Answers how many sessions these are. */
  putBack(): number
  /** How many rows differ from before. */
  changed(): Changed
}

export function createRebuildTables(db: Db): RebuildTables {
  const before = (table: ProjectionTable): string => `before_${table.name}`

  return {
    empty() {
      // Parents go before their children are made again; the commit checks that all is whole.
      db.pragma('defer_foreign_keys = ON')
      db.exec(`CREATE TEMP TABLE pruned AS SELECT session_id FROM agent_sessions WHERE pruned_at IS NOT NULL`)
      db.exec('CREATE UNIQUE INDEX temp.pruned_id ON pruned (session_id)')
      for (const table of PROJECTION_TABLES) {
        const columns = columnsOf(db, table)
        db.exec(`CREATE TEMP TABLE ${before(table)} AS SELECT ${columns} FROM main.${table.name}`)
      }
      for (const table of PROJECTION_TABLES) db.exec(`DELETE FROM main.${table.name}`)
    },
    putBack() {
      for (const table of PROJECTION_TABLES) {
        if (table.ofPruned === null) continue
        const columns = columnsOf(db, table)
        db.exec(`DELETE FROM main.${table.name} WHERE ${table.ofPruned};
          INSERT INTO main.${table.name} (${columns})
          SELECT ${columns} FROM temp.${before(table)} WHERE ${table.ofPruned}`)
      }
      return db.prepare<[], number>('SELECT count(*) FROM pruned').pluck().get() ?? 0
    },
    changed() {
      return Object.fromEntries(
        PROJECTION_TABLES.map((table) => {
          const columns = columnsOf(db, table)
          const now = `SELECT ${columns} FROM main.${table.name}`
          const then = `SELECT ${columns} FROM temp.${before(table)}`
          const differing = (a: string, b: string): number =>
            db.prepare<[], number>(`SELECT count(*) FROM (${a} EXCEPT ${b})`).pluck().get() ?? 0
          return [table.name, Math.max(differing(now, then), differing(then, now))]
        }),
      )
    },
  }
}

/** Without generated columns, which cannot be written. */
function columnsOf(db: Db, { name }: ProjectionTable): string {
  return db
    .prepare<[], string>(`SELECT name FROM pragma_table_info('${name}')`)
    .pluck()
    .all()
    .map((column) => `"${column}"`)
    .join(', ')
}

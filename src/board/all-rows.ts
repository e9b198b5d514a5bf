/** All of a list, for what asks about every row. */
import type { ListQuery, Page } from '../ledger/ledger.ts'

const PAGE = 200

/** Every row of a list, newest first. */
export function allRows<Row>(list: (query: ListQuery) => Page<Row>, query: ListQuery): Row[] {
  const rows: Row[] = []
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page: Page<Row> = list({ ...query, limit: PAGE, ...(cursor === undefined ? {} : { cursor }) })
    rows.push(...page.rows)
    cursor = page.nextCursor
  }
  return rows
}

/** The tree that a session belongs to, and what its models were used for. */
import { microsToUsd, nanosToMicros } from '../core/usage.ts'
import { createTreeCost } from './cost-view.ts'
import type { Db } from './database.ts'
import { modelSums } from './invocation-model-usage.ts'
import type { ModelCost, RelatedSession, SessionTree, SessionTrees } from './ledger.ts'

/** Of one tree. More than a person looks at; the totals are of all of them. */
const MOST_SHOWN = 200

type RelatedRow = Omit<RelatedSession, 'cost_estimated'> & { readonly cost_estimated: 0 | 1 }
type ModelRow = Omit<ModelCost, 'cost_usd' | 'estimated'> & {
  readonly cost_nanos: number
  readonly estimated: 0 | 1
}

const RELATED = `session_id, agent_type, status, created_by, restart_of, parent_session_id, created_at, started_at,
  completed_at, duration_ms, estimated_cost_usd, cost_estimated`

export function createSessionTrees(db: Db): SessionTrees {
  const selectRoot = db
    .prepare<[string], string | null>('SELECT root_session_id FROM agent_sessions WHERE session_id = ?')
    .pluck()
  const selectChildren = db.prepare<[string, number], RelatedRow>(
    `SELECT ${RELATED} FROM agent_sessions WHERE parent_session_id = ? ORDER BY created_at, session_id LIMIT ?`,
  )
  const selectMembers = db.prepare<[string, number], RelatedRow>(
    `SELECT ${RELATED} FROM agent_sessions WHERE root_session_id = ? ORDER BY created_at, session_id LIMIT ?`,
  )
  const selectModels = db.prepare<[string], ModelRow>(
    `SELECT model, ${modelSums('u')}, CAST(total(web_search_requests) AS INTEGER) AS web_search_requests
     FROM invocation_model_usage AS u WHERE session_id = ? GROUP BY model ORDER BY model`,
  )
  const costOf = createTreeCost(db)

  return {
    of: (sessionId) =>
      db.transaction((): SessionTree => {
        const root = selectRoot.get(sessionId) ?? sessionId
        return {
          children: selectChildren.all(sessionId, MOST_SHOWN).map(toRelated),
          tree: {
            root_session_id: root,
            ...costOf(root),
            members: selectMembers.all(root, MOST_SHOWN).map(toRelated),
          },
        }
      })(),
    models: (sessionId) =>
      selectModels.all(sessionId).map(({ cost_nanos, estimated, ...used }) => ({
        ...used,
        cost_usd: microsToUsd(nanosToMicros(cost_nanos)),
        estimated: estimated === 1,
      })),
  }
}

function toRelated(row: RelatedRow): RelatedSession {
  return { ...row, cost_estimated: row.cost_estimated === 1 }
}

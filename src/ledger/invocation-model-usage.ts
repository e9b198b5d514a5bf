/**
 * Table `invocation_model_usage`: tokens and cost of each invocation by model, subagents included. All totals of the
 * ledger are sums over it.
 */
import { MOST_NANOS, type ModelUsage } from '../core/usage.ts'
import type { UnbilledUsage } from '../core/unbilled.ts'
import type { Db } from './database.ts'

export interface InvocationModelUsageTable {
  /** What one result adds. */
  add(sessionId: string, invocationId: string, models: readonly ModelUsage[]): void
  /** What no result bills, in the place of what was estimated before. */
  estimate(sessionId: string, invocationId: string, models: readonly UnbilledUsage[]): void
  /**
   * Prices the estimates of models whose price is not known, by what the session's results cost in relation to their
   * tokens; 0 where there is no such result.
   */
  price(sessionId: string): void
}

/** The columns that count tokens, one for each kind. */
export const TOKENS = ['input_tokens', 'output_tokens', 'cache_read_tokens', 'cache_creation_tokens'] as const

/**
 * Sums over rows of it, under this alias. Each stops where integers stop being exact: however much a hostile agent claims, no sum
 * overflows, and in which order it was claimed makes no difference.
 */
export function modelSums(of: string): string {
  const sums = [...TOKENS, 'cost_nanos'].map(
    (column) => `CAST(min(total(${of}.${column}), ${MOST_NANOS}) AS INTEGER) AS ${column}`,
  )
  return `${sums.join(', ')}, coalesce(max(${of}.estimated), 0) AS estimated`
}

/** Tokens in relation to their usual price: output 5, cache read 0.1, cache creation 1.25 times that of input. */
function weight(of: string): string {
  return `(${of}.input_tokens + 5 * ${of}.output_tokens + 0.1 * ${of}.cache_read_tokens
    + 1.25 * ${of}.cache_creation_tokens)`
}

const added = (column: string): string => `${column} = min(u.${column} + excluded.${column}, ${MOST_NANOS})`

export function createInvocationModelUsageTable(db: Db): InvocationModelUsageTable {
  const columns = `session_id, invocation_id, model, estimated, input_tokens, output_tokens, cache_read_tokens,
    cache_creation_tokens, web_search_requests, cost_nanos, unpriced`
  const insert = db.prepare(`
    INSERT INTO invocation_model_usage AS u (${columns})
    VALUES (@sessionId, @invocationId, @model, @estimated, @input_tokens, @output_tokens, @cache_read_tokens,
      @cache_creation_tokens, @web_search_requests, @cost_nanos, @unpriced)
    ON CONFLICT DO UPDATE SET ${[...TOKENS, 'web_search_requests', 'cost_nanos'].map(added).join(', ')}`)
  const removeEstimate = db.prepare(
    'DELETE FROM invocation_model_usage WHERE session_id = ? AND invocation_id = ? AND estimated = 1',
  )
  const updatePrices = db.prepare(`
    UPDATE invocation_model_usage AS u SET cost_nanos = coalesce((
      SELECT CAST(min(round(${weight('u')} * total(b.cost_nanos) / total(${weight('b')})), ${MOST_NANOS}) AS INTEGER)
      FROM invocation_model_usage AS b
      WHERE b.session_id = u.session_id AND b.model = u.model AND b.estimated = 0
      HAVING total(${weight('b')}) > 0), 0)
    WHERE session_id = ? AND unpriced = 1`)

  return {
    add(sessionId, invocationId, models) {
      for (const model of models) insert.run({ sessionId, invocationId, ...model, estimated: 0, unpriced: 0 })
    },
    estimate(sessionId, invocationId, models) {
      removeEstimate.run(sessionId, invocationId)
      for (const model of models) {
        insert.run({
          sessionId,
          invocationId,
          ...model,
          web_search_requests: 0,
          estimated: 1,
          cost_nanos: model.cost_nanos ?? 0,
          unpriced: Number(model.cost_nanos === null),
        })
      }
    },
    price: (sessionId) => void updatePrices.run(sessionId),
  }
}

import { expect, test } from 'vitest'
import { isRetryable, restartRefusal } from '../../src/core/restart-by-hand.ts'
import { FAILURE_REASONS, type FailureReason } from '../../src/core/state.ts'

const session = (status: 'completed' | 'failed' | 'cancelled', failureReason: FailureReason | null) => ({
  sessionId: 's',
  agentType: 'architect',
  status,
  failureReason,
})

test('a completed session has nothing to restart, also by force', () => {
  expect(restartRefusal(session('completed', null), false)?.code).toBe('session_ended')
  expect(restartRefusal(session('completed', null), true)?.code).toBe('session_ended')
})

test('a cancelled one may always be restarted', () => {
  expect(restartRefusal(session('cancelled', 'cancelled'), false)).toBeNull()
})

test.each(FAILURE_REASONS)('failed with %s: refused with what to do, or not; never by force', (reason) => {
  const refusal = restartRefusal(session('failed', reason), false)
  expect(refusal === null).toBe(isRetryable(reason))
  if (refusal !== null) {
    expect(refusal).toMatchObject({ code: 'non_retryable_error', details: { failure_reason: reason } })
    expect(refusal.message).toContain('--force')
  }
  expect(restartRefusal(session('failed', reason), true)).toBeNull()
})

test('what a further agent cannot mend', () => {
  expect(FAILURE_REASONS.filter((reason) => !isRetryable(reason))).toEqual([
    'auth_error',
    'billing_error',
    'max_turns',
    'budget_exceeded',
    'refused',
    'cancelled',
    'invalid_config',
  ])
})

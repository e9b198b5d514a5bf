import { describe, expect, test } from 'vitest'
import {
  failureOfResult,
  failureOfSilence,
  failureOfSpawn,
  isPassingProblem,
} from '../../src/core/failure.ts'
import { NO_FACTS, observe, type ResultFacts, type StreamFacts } from '../../src/core/stream-facts.ts'

const result: ResultFacts = {
  isError: true,
  subtype: 'success',
  text: null,
  errors: '',
  terminalReason: 'api_error',
  stopReason: 'stop_sequence',
  apiErrorStatus: null,
  apiError: null,
  startupFailureReason: null,
}
const ofResult = (rest: Partial<ResultFacts>, facts: Partial<StreamFacts> = {}, exitCode = 1) =>
  failureOfResult({ ...result, ...rest }, { ...NO_FACTS, ...facts }, { code: exitCode, signal: null })
const running = observe(NO_FACTS, { type: 'system', subtype: 'init' })

describe('an API error', () => {
  test.each([408, 429, 500, 502, 503, 504, 520, 529])(
    '%i passes: the CLI itself retries it',
    (apiErrorStatus) => {
      expect(ofResult({ apiErrorStatus })).toMatchObject({ reason: 'api_error', retry: 'again' })
    },
  )

  test.each([400, 404, 405, 409, 413, 422])('%i does not pass', (apiErrorStatus) => {
    expect(ofResult({ apiErrorStatus })).toMatchObject({ reason: 'api_error', retry: 'never' })
  })

  test('without a status passes, unless the request itself was wrong', () => {
    expect(ofResult({}, { assistantError: 'server_error' }).retry).toBe('again')
    expect(ofResult({}, { assistantError: 'invalid_request' }).retry).toBe('never')
    expect(ofResult({}, { assistantError: 'max_output_tokens' }).retry).toBe('never')
  })

  test('that ended the turn in its own way does not pass', () => {
    expect(ofResult({ apiErrorStatus: 500, terminalReason: 'prompt_too_long' }).retry).toBe('never')
  })

  test('names status and text, in one line', () => {
    expect(ofResult({ apiErrorStatus: 500, text: 'API Error:\n500 boom\u001B[0m' }).message).toBe(
      'The model\'s API failed (HTTP 500): "API Error: 500 boom [0m".',
    )
    expect(ofResult({ apiErrorStatus: 400 }).message).toBe(
      "The model's API rejected the request (HTTP 400). The same request would be rejected again.",
    )
  })
})

describe('the account', () => {
  test.each([
    'authentication_failed',
    'oauth_org_not_allowed',
    'account_on_hold',
    'verification_required',
    'cloud_credential_error',
  ])('%s is an auth error', (assistantError) => {
    expect(ofResult({}, { assistantError })).toMatchObject({ reason: 'auth_error', retry: 'never' })
  })

  test.each([401, 403])('HTTP %i is one too, also without that word', (apiErrorStatus) => {
    expect(ofResult({ apiErrorStatus })).toMatchObject({ reason: 'auth_error', retry: 'never' })
  })

  test.each([
    [{ apiErrorStatus: 402 }, {}],
    [{ apiErrorStatus: 400 }, { assistantError: 'billing_error' }],
    [{ apiErrorStatus: 429, apiError: 'model_requires_usage_credits' }, { assistantError: 'rate_limit' }],
  ])('cannot pay: %j %j', (rest, facts) => {
    expect(ofResult(rest, facts)).toMatchObject({ reason: 'billing_error', retry: 'never' })
  })
})

describe('a usage limit', () => {
  const resets = new Date(1795212928_000)

  test.each([
    ['by its kind', { apiError: 'usage_limit_reached' }, { limitResetsAt: 1795212928 }],
    [
      'by the reset of a refusal',
      { apiErrorStatus: 429 },
      { assistantError: 'rate_limit', limitResetsAt: 1795212928 },
    ],
    [
      'by its text',
      { text: "You've hit your session limit · resets 3pm (UTC)" },
      { limitResetsAt: 1795212928 },
    ],
    ['by the old text, which has the time', { text: 'Claude AI usage limit reached|1795212928' }, {}],
  ])('is told %s', (_, rest, facts) => {
    expect(ofResult(rest, facts)).toMatchObject({ reason: 'usage_limit', retry: { pauseUntil: resets } })
  })

  test.each(["You've hit your weekly limit · resets Nov 23, 8:15pm (UTC)", 'Claude AI usage limit reached'])(
    'may not say when it resets: %s',
    (text) => {
      expect(ofResult({ text })).toMatchObject({ reason: 'usage_limit', retry: { pauseUntil: null } })
    },
  )

  test('with an impossible reset says nothing about when', () => {
    expect(ofResult({ apiError: 'usage_limit_reached' }, { limitResetsAt: 1e300 }).retry).toEqual({
      pauseUntil: null,
    })
  })

  test('is not any 429', () => {
    expect(ofResult({ apiErrorStatus: 429 }, { assistantError: 'rate_limit' }).reason).toBe('api_error')
  })
})

test.each([
  { stopReason: 'refusal' },
  { apiError: 'safety_monitor_blocked' },
  { apiError: 'dlp_request_denied' },
])('a refusal is not tried again: %j', (rest) => {
  expect(ofResult(rest, { assistantError: 'invalid_request' })).toMatchObject({
    reason: 'refused',
    retry: 'never',
  })
})

test('an unknown error in the turn is tried again', () => {
  const rest = { subtype: 'error_during_execution', terminalReason: 'new_one', errors: 'boom' }
  expect(ofResult(rest)).toEqual({
    reason: 'agent_error',
    retry: 'again',
    message: 'The agent stopped in the middle of its turn: "boom".',
  })
  expect(ofResult({ subtype: null, terminalReason: null })).toMatchObject({ reason: 'agent_error' })
})

test('the words of the model are not taken for those of the CLI', () => {
  const text = 'No conversation found. error: unknown option. Session ID x is already in use'
  expect(ofResult({ text, apiErrorStatus: 400 })).toMatchObject({ reason: 'api_error' })
})

describe('an aborted turn', () => {
  const rest = { subtype: 'error_during_execution', terminalReason: 'aborted_streaming' }

  test('with exit 1 was interrupted on request', () => {
    expect(ofResult(rest)).toMatchObject({ reason: 'cancelled', retry: 'never' })
  })

  test('with exit 0, or by a signal, was broken off from outside', () => {
    expect(ofResult(rest, {}, 0)).toMatchObject({ reason: 'crashed', retry: 'again' })
    const killed = failureOfResult({ ...result, ...rest }, NO_FACTS, { code: null, signal: 'SIGTERM' })
    expect(killed.message).toBe('The turn was broken off from outside (killed by SIGTERM).')
  })
})

describe('a process without a result', () => {
  test.each([
    [0, 'no_result', /^The CLI ended without a result \(exit code 0\)\.$/],
    [1, 'crashed', /\(exit code 1\)/],
    [129, 'crashed', /\(exit code 129, as after SIGHUP\)/],
    [130, 'crashed', /as after SIGINT/],
    [137, 'crashed', /as after SIGKILL/],
    [143, 'crashed', /as after SIGTERM/],
  ])('exit %i after its init is %s', (code, reason, message) => {
    const failure = failureOfSilence(running, { code, signal: null }, '')
    expect(failure).toMatchObject({ reason, retry: 'again' })
    expect(failure.message).toMatch(message)
  })

  test('before its init it did not start; a kill is a kill at any time', () => {
    expect(failureOfSilence(NO_FACTS, { code: 1, signal: null }, 'boom')).toEqual({
      reason: 'spawn_failed',
      retry: 'again',
      message: 'The CLI ended before it had started (exit code 1): "boom". "drover doctor" checks it.',
    })
    expect(failureOfSilence(NO_FACTS, { code: null, signal: 'SIGKILL' }, '')).toMatchObject({
      reason: 'crashed',
    })
  })

  test.each([126, 127])(
    'exit %i before its init: it cannot be run, and a repeat does not mend that',
    (code) => {
      const exit = { code, signal: null }
      const failure = failureOfSilence(NO_FACTS, exit, 'exec: claude: Exec format error')
      expect(failure).toMatchObject({ reason: 'spawn_failed', retry: 'never' })
      expect(failureOfSilence(running, exit, '')).toMatchObject({ reason: 'crashed', retry: 'again' })
    },
  )

  test.each([null, { code: null, signal: null }])('whose end nobody saw has crashed', (exit) => {
    expect(failureOfSilence(NO_FACTS, exit, '').message).toBe(
      'The CLI ended in the middle of its work (nobody saw how).',
    )
  })

  test('the end of stderr is told, not its beginning', () => {
    const { message } = failureOfSilence(running, { code: 1, signal: null }, `${'x'.repeat(9000)} the reason`)
    expect(message).toMatch(/the reason"\.$/)
    expect(message.length).toBeLessThan(700)
  })

  test('a refusal to start counts only before the init', () => {
    const stderr = "error: unknown option '--nope'"
    expect(failureOfSilence(NO_FACTS, { code: 1, signal: null }, stderr)).toMatchObject({
      reason: 'invalid_config',
    })
    expect(failureOfSilence(running, { code: 1, signal: null }, stderr)).toMatchObject({ reason: 'crashed' })
  })

  // Measured with CLI 2.1.329; no transcript is left of these, or they have the same one.
  test.each([
    "error: option '--max-turns <turns>' argument 'abc' is invalid. must be a number",
    'Error: Append system prompt file not found: /srv/nope',
    'Error: System prompt file not found: /srv/nope',
    'Error processing --setting-sources: Invalid setting source: nope. Valid options are: user, project, local',
    'Error: --session-id with --continue or --resume also needs --fork-session.',
    'Error: Can only use --worktree in a git repository, but /srv/repo is not a git repository.',
    "Error: Invalid --agents configuration:\ninvalid JSON: JSON Parse error: Expected '}'",
    "Error: --json-schema is not valid JSON: JSON Parse error: Expected '}'",
    'Error: piped stdin input exceeds 10MB',
    'Error: claude native binary not installed.',
    "Configuration error in /srv/home/.claude.json: JSON Parse error: Expected '}'",
  ])('refuses to start: %s', (stderr) => {
    const failure = failureOfSilence(NO_FACTS, { code: 1, signal: null }, stderr)
    expect(failure).toMatchObject({ reason: 'invalid_config', retry: 'never' })
  })

  test('a conversation that is missing, or there already, is told on stderr too', () => {
    const ofStderr = (stderr: string) => failureOfSilence(NO_FACTS, { code: 1, signal: null }, stderr).retry
    expect(ofStderr('No conversation found with session ID: 1')).toBe('fresh')
    expect(ofStderr('Error: Session ID 1 is already in use.')).toBe('resume')
  })

  test.each([
    ['authentication_failed', 'auth_error'],
    ['billing_error', 'billing_error'],
    ['model_not_found', 'invalid_config'],
    ['server_error', 'crashed'],
    ['rate_limit', 'crashed'],
  ])('its last API error %s counts as %s, where the result was cut off', (error, reason) => {
    const facts = observe(running, { type: 'assistant', message: {}, error })
    expect(failureOfSilence(facts, { code: 1, signal: null }, '').reason).toBe(reason)
  })
})

describe('a process that could not be started', () => {
  test.each([
    'spawn /srv/bin/claude ENOENT',
    'spawn claude EACCES',
    'spawn E2BIG',
    'ERR_INVALID_ARG_VALUE: the argument must not contain null bytes',
    'The directory /srv/repo does not exist.',
    '/srv/repo is not a directory',
  ])('for good: %s', (problem) => {
    expect(failureOfSpawn(problem)).toMatchObject({ reason: 'spawn_failed', retry: 'never' })
  })

  test.each(['spawn claude EAGAIN', 'spawn ENOMEM', 'spawn EMFILE', 'the guard is gone'])(
    'for now: %s',
    (problem) => {
      expect(failureOfSpawn(problem)).toMatchObject({ reason: 'spawn_failed', retry: 'again' })
      expect(failureOfSpawn(problem).message).toContain(problem)
    },
  )

  test.each([
    "ENOSPC: no space left on device, mkdir '/data/sessions/1'",
    'EDQUOT: disk quota exceeded, write',
  ])('not before there is room: %s', (problem) =>
    expect(failureOfSpawn(problem)).toMatchObject({ reason: 'spawn_failed', retry: 'no_room' }),
  )

  test.each([
    ["ENOSPC: no space left on device, mkdir '/data/sessions/1'", true],
    ["git could not write: fatal: cannot create directory at 'src': No space left on device", true],
    ["EMFILE: too many open files, open '/data/mcp.json'", true],
    ["EACCES: permission denied, mkdir '/data/sessions/1'", false],
    ['The checkout has uncommitted changes (README.md).', false],
  ])('not now, but later: %s', (problem, expected) => {
    expect(isPassingProblem(problem)).toBe(expected)
  })
})

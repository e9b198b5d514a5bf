import { expect, it } from 'vitest'
import { buildArgv } from '../../src/session/argv.ts'
import { specOf } from '../support/spec.ts'

const sessionId = 'b2c3d4e5-f6a7-4901-8bcd-ef1234567890'

it('is this for a spec with its defaults', () => {
  expect(buildArgv({ spec: specOf(), sessionId, resume: false, mcpConfigPath: null })).toEqual([
    '-p',
    '--input-format=stream-json',
    '--output-format=stream-json',
    '--verbose',
    `--session-id=${sessionId}`,
    '--model=opus',
    '--permission-mode=dontAsk',
    '--setting-sources=user',
    '--strict-mcp-config',
  ])
})

it('is this for a spec with everything, resumed', () => {
  const spec = specOf({
    fallback_model: 'sonnet',
    permission_mode: 'acceptEdits',
    allowed_tools: ['Read', 'Bash(git log:*)'],
    disallowed_tools: ['WebFetch'],
    system_prompt: '-Be brief.\nReport at the end.',
    agent: 'reviewer',
    setting_sources: ['user', 'project'],
    max_turns: 20,
    max_budget_usd: 1.5,
  })
  expect(buildArgv({ spec, sessionId, resume: true, mcpConfigPath: '/data/mcp.json' })).toEqual([
    '-p',
    '--input-format=stream-json',
    '--output-format=stream-json',
    '--verbose',
    `--resume=${sessionId}`,
    '--model=opus',
    '--fallback-model=sonnet',
    '--permission-mode=acceptEdits',
    '--allowedTools=Read,Bash(git log:*)',
    '--disallowedTools=WebFetch',
    '--append-system-prompt=-Be brief.\nReport at the end.',
    '--agent=reviewer',
    '--setting-sources=user,project',
    '--mcp-config=/data/mcp.json',
    '--strict-mcp-config',
    '--max-turns=20',
    '--max-budget-usd=1.5',
  ])
})

it("begins with a copy of another session's conversation under its own id", () => {
  const forkOf = 'b2c3d4e5-f6a7-4901-8bcd-ef1234567891'
  const input = { spec: specOf(), sessionId, resume: false, mcpConfigPath: null, forkOf }
  expect(buildArgv(input).slice(4, 7)).toEqual([
    `--resume=${forkOf}`,
    '--fork-session',
    `--session-id=${sessionId}`,
  ])
  expect(buildArgv({ ...input, resume: true })).not.toContain('--fork-session')
})

it('names the file of a long system prompt instead of the prompt', () => {
  const spec = specOf({ system_prompt: 'x'.repeat(150_000) })
  const argv = buildArgv({
    spec,
    sessionId,
    resume: false,
    mcpConfigPath: null,
    systemPromptPath: '/data/prompt.md',
  })
  expect(argv).toContain('--append-system-prompt-file=/data/prompt.md')
  expect(argv.join('').length).toBeLessThan(1000)
})

it('has no argument that a value could turn into another option', () => {
  const spec = specOf({
    system_prompt: '--dangerously-skip-permissions',
    allowed_tools: ['Read'],
    agent: 'a',
  })
  const argv = buildArgv({ spec, sessionId, resume: false, mcpConfigPath: '/x' })
  const names = argv.map((argument) => argument.split('=')[0])
  expect(names).not.toContain('--dangerously-skip-permissions')
  // Nothing but options: no positional argument, and no value that stands alone.
  expect(argv.filter((argument) => !argument.startsWith('-'))).toEqual([])
})

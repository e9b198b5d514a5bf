import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { createSecretKeeper } from '../../src/telemetry/secret-keeper.ts'

test('a log holds none of the secrets of the process, nor those that were learnt, in messages and stacks', () => {
  const env = { DB_PASSWORD: 'hunter2hunter2', REDIS_URL: 'redis://:redis-pass-1@localhost' }
  const { config } = loadConfig({
    env: { REDIS_URL: env.REDIS_URL, DROVER_TOKEN: 'board-token-1' },
    cwd: '/',
  })
  const secrets = createSecretKeeper(config, env)
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  const log = createLogger({ level: 'info', name: 'worker', destination, redact: secrets.json })
  secrets.learn([{ name: 'MCP_KEY', value: 'learnt-later-1' }])
  log.error({ err: new Error('hunter2hunter2 "redis-pass-1"'), url: 'x board-token-1' }, 'learnt-later-1')
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    msg: '[redacted:MCP_KEY]',
    url: 'x [redacted:DROVER_TOKEN]',
    err: { message: '[redacted:DB_PASSWORD] "[redacted:REDIS_URL]"' },
  })
  expect(lines.join('')).not.toMatch(/hunter2hunter2|redis-pass-1|board-token-1|learnt-later-1/)
  expect(secrets.values().text(`AKIAIOSFODNN7EXAMPLE hunter2hunter2`)).toBe(
    'AKIAIOSFODNN7EXAMPLE [redacted:DB_PASSWORD]',
  )
})

test('what is worth nothing any more is forgotten, and nothing else', () => {
  const { config } = loadConfig({ env: {}, cwd: '/' })
  const secrets = createSecretKeeper(config, {})
  const before = secrets.options().secrets.length
  secrets.learn([
    { name: 'DROVER_TOKEN', value: 'token-of-one-agent' },
    { name: 'MCP_KEY', value: 'learnt-later-1' },
  ])
  secrets.forget('token-of-one-agent')
  secrets.forget('never-known')
  expect(secrets.options().secrets).toHaveLength(before + 1)
  expect(secrets.values().text('token-of-one-agent learnt-later-1')).toBe(
    'token-of-one-agent [redacted:MCP_KEY]',
  )
})

test('what agents were told on purpose is said by nobody, and stays in what they go on with', () => {
  const { config } = loadConfig({ env: {}, cwd: '/' })
  const secrets = createSecretKeeper(config, {})
  secrets.learnOfPrompt([{ name: 'BOARD_KEY', value: 'of-a-prompt-1' }])
  expect(secrets.text('of-a-prompt-1')).toBe('[redacted:BOARD_KEY]')
  expect(secrets.options().secrets).toContainEqual({ name: 'BOARD_KEY', value: 'of-a-prompt-1' })
  expect(secrets.values().text('of-a-prompt-1')).toBe('of-a-prompt-1')

  // Another agent has it in its environment; then the prompt's session is over.
  secrets.learn([{ name: 'ENV_KEY', value: 'of-a-prompt-1' }])
  secrets.forget('of-a-prompt-1')
  expect(secrets.values().text('of-a-prompt-1')).toBe('[redacted:ENV_KEY]')
})

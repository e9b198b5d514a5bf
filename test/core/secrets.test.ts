import { describe, expect, test } from 'vitest'
import {
  nameRule,
  secretsOfAddress,
  secretsOfArguments,
  secretsOfHeaders,
  secretsOfVariables,
} from '../../src/core/secrets.ts'

const isSecret = nameRule()
const values = (secrets: readonly { readonly value: string }[]): string[] => secrets.map(({ value }) => value)

describe('names of secrets', () => {
  test.each([
    'ANTHROPIC_API_KEY',
    'ANTHROPIC_AUTH_TOKEN',
    'CLAUDE_CODE_OAUTH_TOKEN',
    'AWS_SECRET_ACCESS_KEY',
    'DB_PASSWORD',
    'MYSQL_PWD',
    'GH_PAT',
    'NPM_AUTH',
    'SIGNING_PASSPHRASE',
    'SERVICE_CREDENTIALS',
    'accessToken',
    'x-api-key',
    'Authorization',
    'Cookie',
    'SENTRY_DSN',
  ])('%s', (name) => {
    expect(isSecret(name)).toBe(true)
  })

  test.each([
    'PATH',
    'PWD',
    'ANTHROPIC_MODEL',
    'ANTHROPIC_BASE_URL',
    'SSH_AUTH_SOCK',
    'GOOGLE_APPLICATION_CREDENTIALS',
    'SSH_KEY_PATH',
    'TOKEN_FILE',
    'CLAUDE_CODE_MAX_OUTPUT_TOKENS',
    'GIT_AUTHOR_NAME',
    'KEYBOARD_LAYOUT',
    'COMPASS_DIR',
  ])('not %s', (name) => {
    expect(isSecret(name)).toBe(false)
  })

  test('as configured: more of them, and fewer', () => {
    const rule = nameRule(['DB_URI', 'CORP_*', '!SORT_KEY', '!CORP_NAME'])
    expect(['DB_URI', 'CORP_X', 'SORT_KEY', 'CORP_NAME', 'API_KEY', 'ADB_URI'].map(rule)).toEqual([
      true,
      true,
      false,
      false,
      true,
      false,
    ])
  })
})

test('of variables: by name, within addresses, and headers', () => {
  const found = secretsOfVariables(
    {
      API_KEY: ' key-0123456789\n',
      PLAIN: 'nothing-to-hide',
      HTTPS_PROXY: 'http://user:pr%40xy-pass@proxy:3128',
      GIT_URL: 'https://ghp0123456789012345678901234567890@github.com/a/b?api_key=param-value&page=2',
      ANTHROPIC_CUSTOM_HEADERS:
        'X-Team: red\nAuthorization: Bearer head-0123456789\nx-api-key: other-0123456789',
      UNSET_TOKEN: undefined,
      EMPTY_TOKEN: '',
      REFERENCE_TOKEN: '${OTHER_TOKEN}',
      STATE_TOKEN: 'completed',
    },
    isSecret,
  )
  expect(found).toEqual([
    { name: 'API_KEY', value: 'key-0123456789' },
    { name: 'HTTPS_PROXY', value: 'pr%40xy-pass' },
    { name: 'HTTPS_PROXY', value: 'pr@xy-pass' },
    { name: 'GIT_URL', value: 'ghp0123456789012345678901234567890' },
    { name: 'GIT_URL', value: 'ghp0123456789012345678901234567890' },
    { name: 'GIT_URL', value: 'param-value' },
    { name: 'ANTHROPIC_CUSTOM_HEADERS', value: 'head-0123456789' },
    { name: 'ANTHROPIC_CUSTOM_HEADERS', value: 'other-0123456789' },
  ])
})

test('a variable with an address and a secret name is the password of the address, or all of it where it has none', () => {
  const of = (value: string): string[] => values(secretsOfVariables({ WEBHOOK_SECRET: value }, isSecret))
  expect(of('redis://:pass-word@host')).toEqual(['pass-word', 'pass-word'])
  expect(of('https://hooks.example/T000/abcdefgh')).toEqual(['https://hooks.example/T000/abcdefgh'])
})

test('of what an MCP config has: headers, arguments, addresses', () => {
  expect(
    values(
      secretsOfHeaders({ Authorization: 'Bearer abc-123-def', Accept: 'text/html', 'X-Key': 5 }, isSecret),
    ),
  ).toEqual(['abc-123-def'])
  expect(
    values(
      secretsOfArguments(
        [
          '--token=eins-eins',
          '--api-key',
          'zwei-zwei',
          '--password',
          '--verbose',
          '-y',
          'postgres://u:drei-drei@h/d',
          7,
        ],
        isSecret,
      ),
    ),
  ).toEqual(['eins-eins', 'zwei-zwei', 'drei-drei', 'drei-drei'])
  expect(secretsOfAddress('url', '/run/redis.sock', isSecret)).toEqual([])
})

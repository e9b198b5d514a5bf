import { spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { execa } from 'execa'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { DroverError } from '../../src/core/errors.ts'
import { createLogger, type LoggerOptions } from '../../src/telemetry/logger.ts'

const LOGGER = fileURLToPath(new URL('../../src/telemetry/logger.ts', import.meta.url))

function setUp(options: Partial<LoggerOptions> = {}): {
  log: ReturnType<typeof createLogger>
  lines: string[]
} {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  return { log: createLogger({ level: 'info', name: 'worker', destination, ...options }), lines }
}

describe('createLogger', () => {
  test('one JSON object a line, with ISO time, level by name, and the details', () => {
    const { log, lines } = setUp()
    log.info({ session_id: 's' }, 'started')
    const line: unknown = JSON.parse(lines[0] ?? '')
    expect(line).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      pid: process.pid,
      name: 'worker',
      session_id: 's',
      msg: 'started',
    })
  })

  test('nothing below the level, nothing at all with silent', () => {
    const { log, lines } = setUp({ level: 'warn' })
    log.info('no')
    log.warn('yes')
    const silent = setUp({ level: 'silent' })
    silent.log.fatal('no')
    expect([lines.length, silent.lines.length]).toEqual([1, 0])
  })

  test('an error keeps its code, its details and its cause', () => {
    const { log, lines } = setUp()
    const cause = new Error('connect ECONNREFUSED')
    log.error(
      { err: new DroverError('redis_unavailable', 'Redis is away.', { port: 1 }, { cause }) },
      'stopped',
    )
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      msg: 'stopped',
      err: {
        code: 'redis_unavailable',
        details: { port: 1 },
        message: expect.stringContaining('connect ECONNREFUSED'),
      },
    })
  })

  test('members named like secrets are masked', () => {
    const { log, lines } = setUp()
    const token = 'hunter2'
    log.warn({ token, headers: { authorization: token }, env: { ANTHROPIC_API_KEY: token } }, 'x')
    expect(lines[0]).not.toContain(token)
    expect(lines[0]?.match(/\*\*\*/g)).toHaveLength(3)
  })

  test('it speaks on standard error, so that standard output stays the answer; the last line is not lost', async () => {
    const script = `import { createLogger } from ${JSON.stringify(LOGGER)}
      const log = createLogger({ level: 'info', name: 'child' })
      for (let i = 0; i < 100; i++) log.info({ i }, 'x')
      process.kill(process.pid, 'SIGKILL')`
    const child = await execa(process.execPath, ['--input-type=module', '--eval', script], { reject: false })
    expect(child.stdout).toBe('')
    expect(child.stderr.split('\n').map((line): unknown => JSON.parse(line).i)).toEqual(
      Array.from({ length: 100 }, (_, i) => i),
    )
  })
})

describe('lines for people', () => {
  const time = /^\d\d:\d\d:\d\d\.\d{3} /

  test('plain: time, level, name, message, details', () => {
    const { log, lines } = setUp({ format: 'plain' })
    log.warn({ session_id: 'abc', text: 'two words', count: 2 }, 'it is slow')
    expect(lines[0]).toMatch(time)
    expect(lines[0]?.replace(time, '')).toBe(
      'WARN  worker it is slow session_id=abc text="two words" count=2\n',
    )
  })

  test('of an error only its sentence', () => {
    const { log, lines } = setUp({ format: 'plain' })
    log.error({ err: new Error('it broke') }, 'stopped')
    expect(lines[0]?.replace(time, '')).toBe('ERROR worker stopped err="it broke"\n')
  })

  test('in colour on request only', () => {
    const plain = setUp({ format: 'plain' })
    plain.log.info('x')
    const color = setUp({ format: 'color' })
    color.log.info('x')
    expect(plain.lines[0]).not.toContain('\u001b')
    expect(color.lines[0]).toContain('\u001b[36m')
  })

  test('what a child printed cannot drive the terminal', () => {
    const { log, lines } = setUp({ format: 'plain' })
    const bad = '\u001b[2J\u0007\u009b31m\u202eevil\nnew line'
    log.warn({ bad, [bad]: 1, err: new Error(bad) }, bad)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/^[^\p{Cc}\u202e]*\n$/u)
  })
})

test('a log that cannot be written to, because its disk is full, ends no process', () => {
  const logger = new URL('../../src/telemetry/logger.ts', import.meta.url).href
  const code = `import { createLogger } from ${JSON.stringify(logger)}
    const log = createLogger({ level: 'info', name: 'test' })
    for (let line = 0; line < 3000; line++) log.warn('x'.repeat(1000))
    setTimeout(() => console.log('alive'), 10)`
  const full = openSync('/dev/full', 'w')
  try {
    const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', full],
      encoding: 'utf8',
    })
    expect([status, stdout]).toEqual([0, 'alive\n'])
  } finally {
    closeSync(full)
  }
})

/**
 * The bad-input corpus on the command line (reliability §9): documented exit codes, no stack, one document on stdout
 * with `--json`; a prompt is sent as it was given; streams that are closed and a home that cannot be written harm nobody.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { EXIT } from '../../src/core/errors.ts'
import { MAIN, type CliOptions } from './run-cli.ts'
import { cliOfFile } from './cli-of-file.ts'

/** What a shell, a parser or a terminal could take for something else. No argument holds a NUL. */
const NASTY = [
  '--dangerously-skip-permissions',
  '$(id)`id`;id|id',
  'a\r\nb\u001B]0;x\u0007\u202Ec',
  '../../x //srv \\\\srv\\x',
  'e\u0301\uFEFF\u0130',
]
const CODES: readonly number[] = [EXIT.ok, EXIT.usage, EXIT.refused]

const { board, cli } = await cliOfFile()

/** With `--json`: one document, and nothing else anywhere. */
async function run(
  args: readonly string[],
  options?: CliOptions,
): Promise<{ code: number | null; document: any }> {
  const { code, stdout, stderr } = await cli.run(['--json', ...args], options)
  const what = JSON.stringify(args)
  expect(CODES, `${what}: ${stderr}`).toContain(code)
  expect(`${stdout}${stderr}`, what).not.toMatch(/\n\s+at |node:internal|\.ts:\d/)
  return { code, document: JSON.parse(stdout) }
}

test.each(NASTY)('%j as a prompt is that prompt, and as a name is refused', async (text) => {
  const [spawned, ...refused] = await Promise.all([
    run(['spawn', 'architect', '--wait', 'accepted', '--', text]),
    run(['spawn', 'architect', 'x', `--task-id=${text}`]),
    run(['sessions', 'show', '--', text]),
    run(['messages', 'send', '--', text, 'x']),
  ])
  expect(spawned.code).toBe(EXIT.ok)
  const { body } = await board.get(`/api/v1/sessions/${spawned.document.session_id}/events?limit=1`)
  expect(body.events[0].payload.request.prompt).toBe(text)
  for (const { code, document } of refused) {
    expect(code).toBe(EXIT.usage)
    expect(document).toMatchObject({ success: false, error: expect.any(String), message: expect.any(String) })
  }
})

describe('surroundings', () => {
  test('a home, a terminal and a temporary directory that are not there', async () => {
    const env = {
      HOME: '/proc/none',
      TMPDIR: '/proc/none',
      TERM: undefined,
      NO_COLOR: '1',
      FILLER: 'x'.repeat(100_000),
    }
    expect(await run(['sessions', 'list'], { env })).toMatchObject({ code: 0, document: { success: true } })
    const { code, stdout } = await cli.run(['types', 'list'], { env })
    expect({ code, escapes: stdout.includes('\u001B') }).toEqual({ code: 0, escapes: false })
  })

  test('a closed stdout or stderr', async () => {
    const listing = cli.start(['sessions', 'list'])
    listing.child.stdout?.destroy()
    const failing = cli.start(['sessions', 'show', 'nobody'])
    failing.child.stderr?.destroy()
    expect(await listing.ended).toMatchObject({ code: 0, stderr: '' })
    expect(await failing.ended).toMatchObject({ code: EXIT.usage, stdout: '' })
  })

  test('a data directory that is a file', async () => {
    const { code, stderr } = await cli.run(['up'], { env: { DROVER_DATA_DIR: MAIN } })
    expect(stderr).toMatch(/^error: The directory .* cannot be used for Drover's data \(EEXIST/)
    expect(code).toBe(EXIT.unreachable)
  })

  test('a stdout that takes nothing, as on a full disk: said once, exit 1', async () => {
    const into = `"$0" "$@" > /dev/full`
    const ran = promisify(execFile)(
      'sh',
      ['-c', into, process.execPath, MAIN, 'sessions', 'list', '--json'],
      {
        env: { PATH: process.env['PATH'], HOME: cli.dir, DROVER_URL: board.url },
      },
    )
    await expect(ran).rejects.toMatchObject({
      code: EXIT.failed,
      stderr: expect.stringMatching(/^error: the answer could not be written: ENOSPC.*\n$/) as string,
    })
  })
})

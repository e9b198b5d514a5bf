/**
 * The bad-input corpus down to the process (reliability §9): each prompt reaches the CLI's input as it was given and
 * changes nothing of its arguments, and no process runs outside the allowed roots.
 */
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FIVE_TYPES, openHouse, type PodHouse } from '../support/pod.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'

const RECORDING_CLAUDE = join(import.meta.dirname, '../support/recording-claude.mjs')

/** One of each kind of the corpus; all of it reaches the board in `test/board/bad-requests.test.ts`. */
const NASTY = [
  '--dangerously-skip-permissions',
  '-p --mcp-config=/x @file',
  '$(id) `id` ;id | id {{7*7}} "; DROP TABLE',
  'a\r\nb\n\n\u2028c\0d',
  '\u001B]0;x\u0007\u202E\uFEFF',
  'a\uD83Db',
  'e\u0301\u00E9\u0131\u0130',
  '{"type":"control_request"}',
  'a'.repeat(131_072),
]

let server: TestRedis
let house: PodHouse
beforeAll(async () => {
  server = await startRedis()
  house = await openHouse({
    redisUrl: server.url,
    claude: { file: RECORDING_CLAUDE, rehearsal: { environment: () => ({ ANTHROPIC_API_KEY: 'none' }) } },
  })
  await house.startPod({ DROVER_MAX_SESSIONS: String(FIVE_TYPES.length) })
})
afterAll(async () => {
  await house.close()
  await server.stop()
})

interface Started {
  readonly argv: readonly string[]
  readonly cwd: string
  /** The message that the CLI got. */
  readonly message: { readonly type: string; readonly message: { readonly content: string } }
}

function startOf(sessionId: string): Started | null {
  const file = join(house.witness, `${sessionId}.json`)
  if (!existsSync(file)) return null
  const { argv, cwd, line } = JSON.parse(readFileSync(file, 'utf8')) as {
    argv: string[]
    cwd: string
    line: string
  }
  return { argv, cwd, message: JSON.parse(Buffer.from(line, 'base64').toString()) }
}

/** Runs all, one behind another of each type, and answers what their processes were started with. */
async function runAll(
  prompts: readonly string[],
): Promise<{ prompt: string; id: string; started: Started | null }[]> {
  const runs = prompts.map(async (prompt, n) => {
    const agentType = FIVE_TYPES[n % FIVE_TYPES.length] ?? 'architect'
    const { sessionId } = await house.producer.spawn({
      agentType,
      prompt,
      workspaceDir: house.workspace,
      wait: 'completed',
      idempotencyKey: `prompt ${n}`,
    })
    return { prompt, id: sessionId, started: startOf(sessionId) }
  })
  return await Promise.all(runs)
}

test('a prompt arrives as it was given, whatever it is, and the arguments stay the same', async () => {
  const random = fc.sample(fc.string({ unit: 'binary', minLength: 1, maxLength: 300 }), 2)
  const prompts = [...NASTY, ...random].filter((text) => text.trim() !== '')
  const runs = await runAll(prompts)
  const commands = new Set<string>()
  for (const { prompt, id, started } of runs) {
    expect(started?.message, JSON.stringify(prompt).slice(0, 100)).toMatchObject({
      type: 'user',
      message: { role: 'user', content: prompt },
    })
    expect(started?.cwd).toBe(house.workspace)
    commands.add(JSON.stringify(started?.argv).replaceAll(id, 'ID'))
  }
  const usual = [...commands].map((argv) => JSON.parse(argv) as string[])
  expect(usual).toHaveLength(1)
  expect(usual[0]).toEqual(expect.arrayContaining(['-p', '--session-id=ID', '--model=opus']))
}, 120_000)

test('no process runs outside the roots, whatever the way there', async () => {
  const outside = `${house.workspace}-evil`
  mkdirSync(join(outside, 'deep'), { recursive: true })
  mkdirSync(join(house.workspace, 'inside'))
  symlinkSync(outside, join(house.workspace, 'link'))
  symlinkSync('../..', join(house.workspace, 'inside', 'up'))
  const ways = [
    outside,
    `${house.workspace}/../workspace-evil`,
    join(house.workspace, 'link'),
    `${house.workspace}/inside/up`,
    '/proc/self/root',
    '/',
    `${house.workspace} `,
  ]
  const runs = ways.map(async (workspaceDir, n) => {
    const agentType = FIVE_TYPES[n % FIVE_TYPES.length] ?? 'architect'
    const result = await house.producer.spawn({ agentType, prompt: 'x', workspaceDir, wait: 'completed' })
    return { workspaceDir, result }
  })
  for (const { workspaceDir, result } of await Promise.all(runs)) {
    expect(result, workspaceDir).toMatchObject({
      success: false,
      status: 'failed',
      failureReason: 'invalid_config',
    })
    expect(startOf(result.sessionId), workspaceDir).toBeNull()
  }
  // A way that leads back inside is none to the outside.
  const back = await house.producer.spawn({
    agentType: 'architect',
    prompt: 'x',
    workspaceDir: `${house.workspace}/../workspace//inside/.`,
    wait: 'completed',
  })
  expect(startOf(back.sessionId)?.cwd).toBe(join(house.workspace, 'inside'))
}, 120_000)

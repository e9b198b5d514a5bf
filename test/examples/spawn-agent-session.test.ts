/** `examples/spawn-agent-session.sh` does what it says, as its readers run it. */
import { spawn } from 'node:child_process'
import { dirname, resolve } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { claudePath } from '../support/claude.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'

const ROOT = resolve(import.meta.dirname, '../..')

let scratch: Scratch
beforeEach(async () => {
  scratch = await createScratch()
})
afterEach(() => scratch.check())

test('each answer and each error of the first source document, from the command line and over HTTP', async () => {
  const child = spawn('sh', [resolve(ROOT, 'examples/spawn-agent-session.sh')], {
    env: {
      ...scratch.env,
      PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
      HOME: scratch.dir,
      DROVER: `node ${resolve(ROOT, 'dist/cli/main.js')}`,
      DROVER_TOOLS_DIR: resolve(ROOT, 'data/tools'),
      DROVER_CLAUDE_PATH: claudePath(),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (said += text))
  const code = await new Promise((done) => child.on('close', done))
  expect(code, said).toBe(0)
  expect(said).toContain('Everything is as it should be')
}, 120_000)

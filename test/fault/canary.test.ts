/**
 * I12: a secret of the agent leaves the pod in no form. The agent prints its own key in every form, on standard output
 * and standard error, split over deltas and cut by its death; then every sink is searched, byte for byte.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ENCODINGS } from '../core/encodings.ts'
import { openField, type Field } from './rig/field.ts'
import { sinksOf } from './rig/sinks.ts'

const CANARY = 'canary-Zx81q/PLmW02+vBnRs77KeTq"49\\hJ'
const FORMS = Object.entries(ENCODINGS).map(([name, written]) => ({ name, text: written(CANARY) }))
/** Without what other bytes have a part in: in base64 the first and the last characters. */
const NEEDLES = FORMS.map(({ name, text }) => ({ name, needle: text.slice(4, -4) }))

let field: Field
beforeAll(async () => {
  field = await openField({
    pods: 1,
    env: { ANTHROPIC_API_KEY: CANARY, DROVER_LOG_LEVEL: 'debug' },
  })
}, 60_000)
afterAll(() => field.close())

function delta(text: string): object {
  return {
    type: 'stream_event',
    event: { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } },
  }
}

/** Each form in a text, in a tool's result, in deltas cut at every place, and as a line that is no JSON. */
function output(): string {
  const lines = FORMS.flatMap(({ text }, index) => [
    { type: 'assistant', message: { id: `m${index}`, content: [{ type: 'text', text: `It is ${text}.` }] } },
    {
      type: 'user',
      message: { content: [{ type: 'tool_result', content: text }] },
      tool_use_result: { [text]: 1 },
    },
    delta(text.slice(0, index + 2)),
    delta(text.slice(index + 2)),
    delta(' '),
  ])
  const raw = FORMS.map(({ text }) => `raw ${text.replaceAll(/[\r\n]+/g, '')}`)
  return `${[...lines.map((line) => JSON.stringify(line)), ...raw].join('\n')}\n{"type":"assistant","text":"${CANARY.slice(0, 20)}`
}

test('no sink has it in any form', async () => {
  const [stdout, stderr] = ['stdout.txt', 'stderr.txt'].map((name) => join(field.scratch.dir, name)) as [
    string,
    string,
  ]
  await writeFile(stdout, output())
  await writeFile(stderr, `${FORMS.map(({ text }) => text).join('\n')}\n${CANARY.slice(0, 25)}`)
  const said = await readFile(stdout, 'latin1')
  const sessionId = await field.spawn(
    { stdout_file: stdout, stderr_file: stderr, crash_on_attempts: [1] },
    { autoRestart: false },
  )
  await field.ended(sessionId)
  await field.settled()

  const sinks = await sinksOf(field, sessionId)
  for (const [sink, text] of Object.entries(sinks)) {
    expect(text.length, sink).toBeGreaterThan(0)
    for (const { name, needle } of NEEDLES) expect(text.includes(needle), `${sink}: ${name}`).toBe(false)
    // Of the one that was cut too: no more of it than tells nothing.
    expect(text.includes(CANARY.slice(0, 12)), sink).toBe(false)
  }
  // And it was there to be found.
  expect(said).toContain(CANARY.slice(0, 12))
  for (const sink of ['ledger', 'Redis (every command, AOF)', 'HTTP answers'] as const) {
    expect(sinks[sink].split('[redacted:ANTHROPIC_API_KEY]').length, sink).toBeGreaterThan(FORMS.length)
  }
  expect(field.ledger.agents(sessionId)).toHaveLength(1)
})

import { expect, test } from 'vitest'
import { createRedactor } from '../../src/core/redact.ts'
import { redactFile } from '../../src/session/redact-file.ts'

const SECRET = 'tok_Zx81q-PLmW02/vBnR+s77"Ke'
const redactor = createRedactor({ secrets: [{ name: 'TOKEN', value: SECRET }], known: false })

async function redacted(name: string, content: string, cut = content.length): Promise<string> {
  const bytes = Buffer.from(content)
  const pieces = [bytes.subarray(0, cut), bytes.subarray(cut)]
  return Buffer.concat(await redactFile(name, pieces, redactor)).toString()
}

test('a file without a secret is the very same pieces, also where its bytes are no text', async () => {
  const pieces = [Buffer.from([0xff, 0xfe, 0x0a, 0x00]), Buffer.from('x\n')]
  expect(await redactFile('a.txt', pieces, redactor)).toBe(pieces)
  expect(await redactFile('a.jsonl', pieces, redactor)).toBe(pieces)
})

test('lines of JSON stay lines of JSON, wherever the file was cut into pieces, and its other lines as they are', async () => {
  const lines = [
    `{"a": ${JSON.stringify(SECRET)}}`,
    '{"b":1.0}',
    `{"c":${JSON.stringify(JSON.stringify({ d: SECRET }))}}`,
  ]
  const content = `${lines.join('\n')}\n`
  for (let cut = 0; cut <= content.length; cut += 3) {
    expect(await redacted('x.jsonl', content, cut)).toBe(
      '{"a": "[redacted:TOKEN]"}\n{"b":1.0}\n{"c":"{\\"d\\":\\"[redacted:TOKEN]\\"}"}\n',
    )
  }
})

test('a torn last line may end in the middle of a secret', async () => {
  expect(await redacted('x.jsonl', `{"b":1}\n{"a":"${SECRET.slice(0, 12)}`)).toBe(
    '{"b":1}\n{"a":"[redacted:TOKEN]',
  )
})

test('text holds none either, over lines of base64', async () => {
  const base64 = Buffer.from(`x${SECRET}`).toString('base64').replaceAll(/.{20}/g, '$&\n')
  expect(await redacted('tool-results/a.txt', `one ${SECRET}\n${base64}\n`)).toMatch(
    /^one \[redacted:TOKEN\]\n.{0,4}\[redacted:TOKEN\].{0,6}\n+$/,
  )
})

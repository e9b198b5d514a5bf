/** What redaction costs on the hot path: `node bench/redaction.ts [secrets]`. Figures are in docs/redaction.md. */
import { randomBytes } from 'node:crypto'
import { createRedactor } from '../src/core/redact.ts'

const ROUNDS = 5
const CALLS = 50_000

const secrets = Array.from({ length: Number(process.argv[2] ?? 5) }, (_, index) => ({
  name: `SECRET_${index}`,
  value: randomBytes(36).toString('base64url'),
}))
const line = JSON.stringify({
  type: 'assistant',
  message: {
    id: 'msg_01ABCDEFGH',
    role: 'assistant',
    model: 'claude-opus-4',
    content: [
      { type: 'text', text: 'I look at src/index.ts and run the tests.\nThen I report "what" I found, too.' },
    ],
    usage: { input_tokens: 100, output_tokens: 20 },
  },
  session_id: 'b2c3d4e5-f6a7-4901-8bcd-ef1234567890',
  uuid: 'b2c3d4e5-f6a7-4901-8bcd-ef1234567891',
})

/** The best of some rounds, in microseconds for each call: others have the machine too. */
function best(calls: number, work: () => unknown): string {
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    const begun = performance.now()
    for (let call = 0; call < calls; call++) work()
    least = Math.min(least, ((performance.now() - begun) * 1000) / calls)
  }
  return `${least.toFixed(2)} µs`
}

const begun = performance.now()
const redactor = createRedactor({ secrets })
const own = createRedactor({ secrets, patterns: [{ name: 'acme', source: 'ACME-[0-9a-f]{32}' }] })
const [secret] = secrets
const found = line.replace('report', secret?.value ?? 'nothing')
const large = JSON.stringify({
  type: 'user',
  text: 'lorem ipsum dolor sit amet, consectetur \n'.repeat(130_000),
})
console.log(`two redactors, ${secrets.length} secrets    ${(performance.now() - begun).toFixed(1)} ms`)
console.log(`JSON.parse, ${line.length} characters   ${best(CALLS, () => JSON.parse(line) as unknown)}`)
console.log(`nothing to find             ${best(CALLS, () => redactor.json(line))}`)
console.log(`with a pattern of your own  ${best(CALLS, () => own.json(line))}`)
console.log(`a secret to take out        ${best(CALLS / 50, () => redactor.json(found))}`)
console.log(
  `${(large.length / 1e6).toFixed(1)} MB                      ${best(2, () => redactor.json(large))}`,
)

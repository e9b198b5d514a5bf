#!/usr/bin/env node
// Speaks as little as the CLI may, and writes down what it was started with: its arguments, where, and the first line
// of its input, byte for byte.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { initLine, print, resultLine } from './fake-claude/messages.mjs'

const argv = process.argv.slice(2)
if (argv.includes('--version')) {
  process.stdout.write('2.1.329 (Claude Code)\n')
  process.exit(0)
}
const sessionId = process.env['DROVER_SESSION_ID']
print(initLine({ sessionId }))
createInterface({ input: process.stdin, crlfDelay: Infinity }).once('line', (line) => {
  const record = { argv, cwd: process.cwd(), line: Buffer.from(line).toString('base64') }
  writeFileSync(join(process.env['DROVER_WITNESS_DIR'], `${sessionId}.json`), JSON.stringify(record))
  print(resultLine({ sessionId, text: 'Done.' }))
})
process.stdin.on('end', () => process.exit(0))

import { spawn } from 'node:child_process'
import { expect, test } from 'vitest'
import { until } from './until.ts'

const WATCHED = `
import { watchStandstill } from ${JSON.stringify(new URL('standstill.ts', import.meta.url).href)}
const now = () => Number(process.hrtime.bigint()) / 1e6
const from = now()
const standstill = watchStandstill()
process.stdin.on('data', async () => {
  const to = now()
  const [all, half] = [standstill.between(from, to), standstill.between(from, (from + to) / 2)]
  await standstill.stop()
  process.stdout.write(JSON.stringify({ all, half }))
  process.stdin.destroy()
})
process.stdout.write('ready ')
`
const STOPPED_MS = 400

test('says for how long nothing ran, between two moments', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', WATCHED])
  let said = ''
  child.stdout.on('data', (text: Buffer) => (said += text.toString()))
  await until(() => said.startsWith('ready'))
  child.kill('SIGSTOP')
  const from = performance.now()
  await until(() => performance.now() - from > STOPPED_MS)
  child.stdin.write('now')
  child.kill('SIGCONT')
  await until(() => said.endsWith('}'))
  const { all, half } = JSON.parse(said.slice('ready '.length)) as { all: number; half: number }
  // Less its step, and what it takes for no standstill.
  expect(all).toBeGreaterThan(STOPPED_MS - 100)
  expect(half).toBeLessThan(all)
})

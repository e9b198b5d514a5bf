import { Writable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { createOutput, type OutputOptions } from '../../src/cli/output.ts'

/** A stream that remembers what was written, as a terminal or as a pipe. */
function sink(members: { isTTY?: boolean; columns?: number } = {}): Writable & { text: () => string } {
  let text = ''
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      done()
    },
  })
  return Object.assign(stream, { text: () => text }, members)
}

function open(options: Partial<OutputOptions> & { tty?: boolean } = {}) {
  const stdout = sink({ isTTY: options.tty ?? false, columns: 72 })
  const stderr = sink({ isTTY: options.tty ?? false })
  const output = createOutput({ stdout, stderr, env: {}, json: false, ...options })
  return { output, stdout, stderr }
}

test('an answer is text, or one document on one line', async () => {
  const text = open()
  await text.output.answer({ success: true }, () => 'done')
  expect(text.stdout.text()).toBe('done\n')

  const json = open({ json: true })
  await json.output.answer({ success: true }, () => 'done')
  json.output.note('beside it')
  expect(json.stdout.text()).toBe('{"success":true}\n')
  expect(json.stderr.text()).toBe('beside it\n')
})

test('on a terminal the document is indented', async () => {
  const { output, stdout } = open({ json: true, tty: true })
  await output.answer({ success: true }, () => '')
  expect(stdout.text()).toBe('{\n  "success": true\n}\n')
})

describe('colour', () => {
  test.each([
    [true, {}, true],
    [false, {}, false],
    [true, { NO_COLOR: '1' }, false],
    [true, { NO_COLOR: '' }, true],
    [true, { TERM: 'dumb' }, false],
    [false, { FORCE_COLOR: '1' }, false],
  ])('terminal %s, %j: %s', (tty, env, colored) => {
    const { output } = open({ tty, env })
    expect(output.colors.red('x') !== 'x').toBe(colored)
    expect(output.noteColors.red('x') !== 'x').toBe(colored)
  })
})

describe('status', () => {
  test('is replaced by what comes after it', async () => {
    const { output, stderr } = open({ tty: true })
    output.status('queued')
    output.status('running')
    output.note('a note')
    expect(stderr.text()).toBe('queued\r\u001B[Krunning\r\u001B[Ka note\n')
  })

  test('is nothing without a terminal', () => {
    const { output, stderr } = open()
    output.status('queued')
    output.status('')
    expect(stderr.text()).toBe('')
  })
})

test('a line waits for the reader', async () => {
  let release: (() => void) | null = null
  const slow = new Writable({
    highWaterMark: 1,
    write(_chunk, _encoding, done) {
      release = done
    },
  })
  const output = createOutput({ stdout: slow, stderr: sink(), env: {}, json: false })
  let written = false
  const writing = output.line('a long line').then(() => (written = true))
  await new Promise(setImmediate)
  expect(written).toBe(false)
  expect(release).not.toBeNull()
  release!()
  await writing
  expect(written).toBe(true)
})

#!/usr/bin/env node
/**
 * A program that speaks like the CLI 2.1.329 in headless stream-json mode, and does what the prompt tells it: the
 * first JSON object `{"fake": {…}}` in the prompt is its script (`fake-claude.ts` has the members). A resumed session
 * without a script goes on with the one in its transcript.
 */
import { readCommandLine } from './fake-claude/command-line.mjs'
import { createConversation } from './fake-claude/conversation.mjs'
import { print } from './fake-claude/messages.mjs'
import { openTranscript } from './fake-claude/transcript.mjs'
import { startWitness } from './fake-claude/witness.mjs'

const options = readCommandLine(process.argv.slice(2))
const witness = startWitness(options.sessionId)
const transcript = openTranscript(options)
const conversation = createConversation({ options, transcript, witness })

/** The real one: 143 after SIGTERM and never a result, 0 after SIGINT. */
const end = (code) => {
  witness.end()
  process.exit(code)
}
process.on('SIGTERM', () => conversation.ignoresTerm() || end(143))
process.on('SIGINT', () => end(0))

let rest = ''
let running = Promise.resolve()
process.stdin.setEncoding('utf8')
process.stdin.on('data', (text) => {
  const lines = (rest + text).split('\n')
  rest = lines.pop()
  for (const line of lines) receive(line)
})
process.stdin.on('end', () => {
  running = running.then(() => conversation.inputClosed()).then(end)
})

function receive(line) {
  let message
  try {
    message = JSON.parse(line)
  } catch {
    process.stderr.write('Error parsing streaming input line\n')
    end(1)
  }
  if (message.type === 'user') {
    const run = conversation.take(message.message.content, message.uuid)
    running = running.then(run)
  } else if (message.type === 'control_response') {
    conversation.answer(message.response)
  } else if (message.type === 'control_request') {
    const { request_id, request } = message
    const known = request.subtype === 'interrupt'
    if (known) conversation.interrupt()
    print({
      type: 'control_response',
      response: known
        ? { subtype: 'success', request_id, response: { still_queued: [] } }
        : { subtype: 'error', request_id, error: `Unsupported control request subtype: ${request.subtype}` },
    })
  }
}

/** The turns of a session, as its script wants them. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startDaemons } from './daemons.mjs'
import {
  assistantLine,
  initLine,
  lifecycleLine,
  print,
  printRaw,
  questionLine,
  resultLine,
} from './messages.mjs'
import { findScript, mergeScript } from './script.mjs'

export function createConversation({ options, transcript, witness }) {
  let script = mergeScript(transcript.state().script)
  let interrupted = new AbortController()
  let failed = false
  let isFirst = true
  /** Open questions: by request id, what is called with the answer. */
  const questions = new Map()

  const pause = (ms) =>
    ms > 0 ? delay(ms, undefined, { signal: interrupted.signal }).catch(() => undefined) : Promise.resolve()
  const stopped = () => interrupted.signal.aborted
  const isTold = () => script.until_file !== '' && existsSync(script.until_file)
  const say = (text) => print(assistantLine(options, text))

  /**
   * A line of input, in the moment when it is read; answers what runs its turn. Of the first one, the prompt, no
   * progress is said, unlike the real one: line numbers are what tests count by. Never steers into a running turn.
   */
  function take(text, uuid) {
    if (isFirst) {
      isFirst = false
      return () => turn(text, uuid)
    }
    const progress = (state) => {
      if (!script.no_lifecycle) print(lifecycleLine(options, uuid, state))
    }
    if (transcript.has(uuid)) return () => progress('completed')
    progress('queued')
    return async () => {
      progress('started')
      await turn(text, uuid)
      progress(stopped() ? 'cancelled' : 'completed')
    }
  }

  async function turn(prompt, uuid) {
    interrupted = new AbortController()
    const found = findScript(prompt)
    if (found !== null) script = mergeScript(found)
    await pause(script.delay_init_ms)
    print(initLine({ ...options, mcpServers: script.mcp_servers }))
    transcript.save({ script, prompts: [...transcript.state().prompts, prompt], uuid })
    if (script.stop_self) process.kill(process.pid, 'SIGSTOP')
    writeFiles(script.write_files)
    startDaemons(script, witness)
    if (script.stderr_text !== '') process.stderr.write(`${script.stderr_text}\n`)
    for (let line = 1; line <= script.lines && !stopped() && !isTold(); line++) {
      say(
        script.stamped
          ? `at ${performance.timeOrigin + performance.now()}`
          : `line ${line} of ${script.lines}`,
      )
      await pause(script.delay_ms)
    }
    if (script.stdout_file !== '') printRaw(readFileSync(script.stdout_file))
    if (script.stderr_file !== '') process.stderr.write(readFileSync(script.stderr_file))
    printOddities(script)
    crashIfTold()
    if (options.asks) await Promise.all(script.ask.map(ask))
    await pause(script.silence_ms)
    if (stopped()) return printInterrupted()
    if (script.result === 'none') return leave()
    printResult()
    if (script.exit_after_result) leave()
  }

  /** Until it is answered, or the turn is stopped. */
  async function ask(command) {
    const question = questionLine(command)
    const { request_id } = question
    const answered = new Promise((resolve) => questions.set(request_id, resolve))
    print(question)
    const isStopped = new Promise((resolve) =>
      interrupted.signal.addEventListener('abort', () => resolve(null)),
    )
    const answer = await Promise.race([answered, isStopped])
    questions.delete(request_id)
    if (answer === null) return print({ type: 'control_cancel_request', request_id })
    say(`${command}: ${JSON.stringify(answer)}`)
    if (answer.interrupt) interrupted.abort()
  }

  function printResult() {
    failed = script.result === 'error'
    const totalUsd = transcript.state().costUsd + script.cost_usd
    transcript.save({ costUsd: totalUsd })
    print(
      resultLine({
        ...options,
        isError: failed,
        apiErrorStatus: failed ? script.api_error_status : null,
        text: failed ? `API Error: ${script.api_error_status}` : script.text,
        costUsd: script.cost_usd,
        totalUsd,
        usage: script.usage,
        turns: script.lines,
      }),
    )
  }

  function printInterrupted() {
    failed = true
    const errors = ['Request interrupted by user']
    print(
      resultLine({
        ...options,
        subtype: 'error_during_execution',
        isError: true,
        errors,
        terminalReason: 'aborted_streaming',
      }),
    )
  }

  function crashIfTold() {
    if (!script.crash_on_attempts.includes(Number(process.env.DROVER_ATTEMPT ?? 1))) return
    if (script.crash_signal !== null) process.kill(process.pid, script.crash_signal)
    else leave()
  }

  function leave() {
    witness.end()
    process.exit(script.exit_code ?? (failed ? 1 : 0))
  }

  return {
    take,
    answer: ({ request_id, response }) => questions.get(request_id)?.(response),
    interrupt: () => interrupted.abort(),
    ignoresTerm: () => script.ignore_term,
    /** The code to exit with once the input is closed; never, for one that hangs. */
    async inputClosed() {
      if (script.hang_after_result) await new Promise(() => setInterval(() => undefined, 1000))
      return script.exit_code ?? (failed ? 1 : 0)
    },
  }
}

const HALF_LINE = '{"type":"assistant","message":{"content":[{"type":"te'

function printOddities(script) {
  for (const line of script.raw_lines) printRaw(`${line}\n`)
  if (script.invalid_utf8) printRaw(Buffer.from([0x7b, 0xff, 0xfe, 0x00, 0x7d, 0x0a]))
  if (script.huge_line_bytes > 0) printHuge(script.huge_line_bytes)
  if (script.half_line) printRaw(script.half_line === true ? HALF_LINE : script.half_line)
}

/** A JSON line of exactly so many bytes, written in pieces: the fake needs no memory for it. */
function printHuge(bytes) {
  const [head, tail] = ['{"type":"huge","text":"', '"}']
  const piece = Buffer.alloc(1024 * 1024, 'x')
  printRaw(head)
  for (let left = bytes - head.length - tail.length; left > 0; left -= piece.length) {
    printRaw(piece.subarray(0, Math.min(left, piece.length)))
  }
  printRaw(`${tail}\n`)
}

function writeFiles(files) {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(resolve(name)), { recursive: true })
    writeFileSync(resolve(name), content)
  }
}

/** What a session is to do and where, as the command line takes it; checked before anything is sent or started. */
import { open, stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { DroverError, messageOf } from '../core/errors.ts'
import { PROMPT_LIMIT_BYTES } from '../core/request.ts'
import type { CliContext } from './program.ts'

/** Words that stand for standard input. */
const STANDARD_INPUT = '-'

/**
 * The prompt, from exactly one source: the words of the command line, `--prompt-file`, or standard input (`-`).
 *
 * @param noun what it is called where it is missing or wrong
 * @throws DroverError `invalid_request`: none, more than one, empty, more than 10 MB, not UTF-8, not readable
 */
export async function readPrompt(
  context: Pick<CliContext, 'stdin'>,
  words: readonly string[],
  file: string | undefined,
  noun = 'prompt',
): Promise<string> {
  const prompt = await readPromptIfGiven(context, words, file, noun)
  if (prompt !== null) return prompt
  throw refused(
    `There is no ${noun}. Give it as arguments, with --prompt-file, or on standard input with "-".`,
  )
}

/** The same, but null where no source is named: the task may have the prompt. */
export async function readPromptIfGiven(
  { stdin }: Pick<CliContext, 'stdin'>,
  words: readonly string[],
  file: string | undefined,
  noun = 'prompt',
): Promise<string | null> {
  if (file !== undefined && words.length > 0) {
    throw refused(`The ${noun} is given twice: as arguments and with --prompt-file. Keep one of them.`)
  }
  if (file !== undefined) return checked(await readPromptFile(file), `The prompt file ${file}`)
  if (words.length === 1 && words[0] === STANDARD_INPUT) {
    return checked(await readBounded(stdin), `The ${noun} on standard input`)
  }
  return words.length === 0 ? null : checked(Buffer.from(words.join(' ')), `The ${noun}`)
}

/**
 * A workspace on this machine.
 *
 * @param path absolute
 * @returns the same path
 * @throws DroverError `invalid_request` unless it is an existing directory
 */
export async function checkWorkspaceOption(path: string): Promise<string> {
  const problem = await workspaceProblem(path)
  if (problem === null) return path
  throw refused(`The workspace ${path} ${problem}. Name an existing directory with --workspace.`)
}

/** What is wrong with a workspace on this machine, to follow its name: "is not a directory". null: nothing. */
export async function workspaceProblem(path: string): Promise<string | null> {
  try {
    return (await stat(path)).isDirectory() ? null : 'is not a directory'
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    return missing ? 'does not exist' : `cannot be used: ${messageOf(error)}`
  }
}

async function readPromptFile(file: string): Promise<Buffer> {
  try {
    const handle = await open(file)
    try {
      if ((await handle.stat()).isDirectory()) throw new Error('it is a directory')
      return await readBounded(handle.createReadStream())
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw refused(`The prompt file ${file} cannot be read: ${messageOf(error)}.`)
  }
}

/** At most one byte more than allowed: endless input ends here. */
async function readBounded(input: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  const parts: AsyncIterable<Buffer | string> = input
  for await (const part of parts) {
    const bytes = Buffer.from(part)
    chunks.push(bytes)
    length += bytes.length
    if (length > PROMPT_LIMIT_BYTES) break
  }
  return Buffer.concat(chunks)
}

function checked(bytes: Buffer, what: string): string {
  if (bytes.length > PROMPT_LIMIT_BYTES) {
    throw refused(
      `${what} has more than 10 MB, and the CLI takes no more. Put long material into a file of the workspace.`,
    )
  }
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw refused(`${what} is not UTF-8 text. Convert it first.`)
  }
  if (text.trim() === '') throw refused(`${what} is empty. Say what the agent is to do.`)
  return text
}

function refused(message: string): DroverError {
  return new DroverError('invalid_request', message)
}

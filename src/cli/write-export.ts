/** Where an export goes: standard output, or a file that is there only when it is whole. */
import { randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { DroverError, messageOf } from '../core/errors.ts'
import type { CliContext } from './program.ts'

/** `sessions export --output … --json` */
interface WrittenExport {
  readonly success: true
  readonly session_id: string
  readonly format: string
  readonly file: string
  readonly bytes: number
}

/**
 * Writes the text as it comes; of a file it says that it is written, with `--json` as a document. Dying in the middle leaves
 * `<file>.<random>.part`, and an earlier `<file>` as it was.
 *
 * @throws DroverError `invalid_request` for a file that cannot be written; what reading the text throws
 */
export async function writeExport(
  { cwd, output }: CliContext,
  text: AsyncIterable<string>,
  file: string | null,
  what: Pick<WrittenExport, 'session_id' | 'format'>,
): Promise<void> {
  if (file === null) {
    for await (const part of text) await output.raw(part)
    return
  }
  const path = resolve(cwd, file)
  // Of this one alone: another export to the same file must not end up in it half written.
  const unfinished = `${path}.${randomBytes(4).toString('hex')}.part`
  try {
    await pipeline(text, createWriteStream(unfinished))
    await rename(unfinished, path)
  } catch (error) {
    await rm(unfinished, { force: true })
    throw isOfFile(error)
      ? new DroverError(
          'invalid_request',
          `The file ${path} could not be written: ${messageOf(error)}.`,
          {},
          { cause: error },
        )
      : error
  }
  output.note(`Written to ${path}`)
  if (!output.json) return
  const { size } = await stat(path)
  const written: WrittenExport = { success: true, ...what, file: path, bytes: size }
  await output.answer(written, () => '')
}

function isOfFile(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && 'path' in error
}

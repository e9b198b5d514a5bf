/** Where an export goes: standard output, or a file that is there only when it is whole. */
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { DroverError, messageOf } from '../core/errors.ts'
import type { CliContext } from './program.ts'

/**
 * Writes the text as it comes. Dying in the middle leaves `<file>.part` and an earlier `<file>` as it was.
 *
 * @throws DroverError `invalid_request` for a file that cannot be written; what reading the text throws
 */
export async function writeExport(
  { cwd, output }: CliContext,
  text: AsyncIterable<string>,
  file: string | null,
): Promise<void> {
  if (file === null) {
    for await (const part of text) await output.raw(part)
    return
  }
  const path = resolve(cwd, file)
  const unfinished = `${path}.part`
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
}

function isOfFile(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && 'path' in error
}

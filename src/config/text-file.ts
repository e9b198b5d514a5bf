/** Reads small text files that people write: bounded, never hanging, every failure a sentence. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { messageOf } from '../core/errors.ts'

/** What was read, or why not. `problem` completes the sentence "`path` …": "does not exist". */
export type TextFile =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly missing: boolean; readonly problem: string }

/** Reads a regular file of UTF-8 text of at most `maxBytes`. Never throws. */
export function readTextFile(path: string, maxBytes: number): TextFile {
  let fd: number
  try {
    // Without O_NONBLOCK the open of a FIFO would wait for a writer for ever.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    return unreadable(error)
  }
  try {
    return readOpen(fd, maxBytes)
  } catch (error) {
    return unreadable(error)
  } finally {
    closeSync(fd)
  }
}

function readOpen(fd: number, maxBytes: number): TextFile {
  const stat = fstatSync(fd)
  if (stat.isDirectory()) return refused('is a directory, not a file')
  if (!stat.isFile()) return refused('is not a regular file')

  // One byte more than allowed: the file may have grown since it was looked at.
  const buffer = Buffer.alloc(Math.min(stat.size, maxBytes) + 1)
  let length = 0
  while (length < buffer.length) {
    const bytes = readSync(fd, buffer, length, buffer.length - length, null)
    if (bytes === 0) break
    length += bytes
  }
  if (length > maxBytes) return refused(`is larger than ${Math.floor(maxBytes / 1024)} KB`)
  try {
    return { ok: true, text: new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, length)) }
  } catch {
    return refused('is not UTF-8 text')
  }
}

function refused(problem: string): TextFile {
  return { ok: false, missing: false, problem }
}

function unreadable(error: unknown): TextFile {
  switch (error instanceof Error && 'code' in error ? error.code : null) {
    case 'ENOENT':
    case 'ENOTDIR':
      return { ok: false, missing: true, problem: 'does not exist' }
    case 'EACCES':
    case 'EPERM':
      return refused('cannot be read: this user has no permission')
    case 'ELOOP':
      return refused('is a symbolic link that leads to itself')
    case 'ENXIO':
      return refused('is not a regular file')
    default:
      return refused(`cannot be read: ${messageOf(error)}`)
  }
}

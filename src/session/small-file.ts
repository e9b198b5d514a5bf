/** Small files where an agent may have put anything: a pipe is not waited for, and what is large is not read. */
import { constants, open } from 'node:fs/promises'

/**
 * The text of a file, links followed.
 *
 * @throws what `open` throws; an error where it is no regular file, or has more than `mostBytes`
 */
export async function readSmallFile(path: string, mostBytes: number): Promise<string> {
  // Opened as any file is, a pipe without a writer holds one of the process's four threads for files, for ever.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    if (!(await handle.stat()).isFile()) throw new Error(`${path} is no regular file`)
    const buffer = Buffer.alloc(mostBytes + 1)
    let length = 0
    for (let read = -1; read !== 0 && length <= mostBytes; length += read) {
      read = (await handle.read(buffer, length, buffer.length - length, length)).bytesRead
    }
    if (length > mostBytes) throw new Error(`${path} has more than ${mostBytes} bytes`)
    return buffer.toString('utf8', 0, length)
  } finally {
    await handle.close()
  }
}

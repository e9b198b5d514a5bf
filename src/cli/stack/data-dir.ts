/** The data directory, and what is made in it. */
import { constants } from 'node:fs'
import { access, mkdir } from 'node:fs/promises'
import { DroverError, messageOf } from '../../core/errors.ts'

/**
 * Makes a directory that can be written to, or finds that it is one.
 *
 * @param dir the data directory, or one below it
 * @throws DroverError `ledger_unavailable`: a file is there, or this user may not
 */
export async function makeDataDir(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true })
    await access(dir, constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new DroverError(
      'ledger_unavailable',
      `The directory ${dir} cannot be used for Drover's data (${messageOf(error)}). Give this user write access to it, ` +
        'or name another one with --data-dir or DROVER_DATA_DIR.',
      { data_dir: dir },
      { cause: error },
    )
  }
}

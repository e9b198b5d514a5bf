import { afterAll } from 'vitest'
import { boardOfFile } from '../board/board-of-file.ts'
import type { TestBoard } from '../board/open-board.ts'
import type { TestRedis } from '../support/redis.ts'
import { openCli, type Cli } from './run-cli.ts'

/** The command line of a test file and the board that it asks, gone after its last test. */
export async function cliOfFile(): Promise<{
  readonly redis: TestRedis
  readonly board: TestBoard
  readonly cli: Cli
}> {
  const { redis, board } = await boardOfFile()
  const cli = await openCli(board.url)
  afterAll(() => cli.close())
  return { redis, board, cli }
}

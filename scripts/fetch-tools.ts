/** What the tests need beside npm packages: a Redis server and the Claude CLI. Fetched into data/tools if missing. */
import { resolve } from 'node:path'
import { isDroverError } from '../src/core/errors.ts'
import { findClaude } from '../src/setup/claude-cli.ts'
import { findRedisServer } from '../src/setup/redis-server.ts'

const toolsDir = resolve(import.meta.dirname, '../data/tools')
const searchPath = process.env['PATH'] ?? ''
const say = (line: string): void => console.error(`set-up: ${line}`)

try {
  const redis = await findRedisServer({ toolsDir, searchPath, say })
  const claude = await findClaude({ path: null, toolsDir, searchPath, say })
  say(`Redis ${redis.version} is ${redis.file}, Claude CLI ${claude.version} is ${claude.path}`)
} catch (error) {
  if (!isDroverError(error)) throw error
  say(error.message)
  process.exitCode = error.exitCode
}

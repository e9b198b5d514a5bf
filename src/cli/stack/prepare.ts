/** What `run` and `demo` need before they start anything. */
import type { Config } from '../../config/settings.ts'
import { DroverError } from '../../core/errors.ts'
import type { CliContext } from '../program.ts'
import { toolsDirOf } from './tools.ts'

/** `claude auth status` looks at files and variables only; it makes no request. */
const AUTH_TIMEOUT_MS = 10_000

/**
 * Brings what a session needs, here where somebody reads the progress, and before anything is started: the
 * rehearsal's script is valid, the CLI and a Redis server are there (fetched if they are not), and for the real
 * model there is a login.
 *
 * @param rehearsal the script's name; null: the real model
 * @throws DroverError `invalid_request` for a script, `setup_failed` for the rest
 */
export async function prepareHere(
  context: CliContext,
  config: Config,
  rehearsal: string | null,
): Promise<void> {
  const [{ findClaude }, { findRedisServer }] = await Promise.all([
    import('../../setup/claude-cli.ts'),
    import('../../setup/redis-server.ts'),
  ])
  if (rehearsal !== null) {
    const { loadScript } = await import('../../rehearsal/load-script.ts')
    await loadScript(rehearsal)
  }
  const place = {
    searchPath: context.env.PATH ?? '',
    toolsDir: toolsDirOf(config),
    say: context.output.note,
  }
  const claude = await findClaude({ path: config.claude.path, ...place })
  if (config.redis.url === null) await findRedisServer(place)
  if (rehearsal === null) await requireLogin(claude.path, context.env)
}

async function requireLogin(claude: string, env: CliContext['env']): Promise<void> {
  const { execa } = await import('execa')
  const status = await execa(claude, ['auth', 'status'], {
    env,
    extendEnv: false,
    reject: false,
    stdin: 'ignore',
    timeout: AUTH_TIMEOUT_MS,
  })
  if (status.exitCode === 0) return
  throw new DroverError(
    'setup_failed',
    'Claude has no login on this machine. Set ANTHROPIC_API_KEY, or CLAUDE_CODE_OAUTH_TOKEN (from `claude setup-token`), or log in with `claude`; --rehearse needs none.',
  )
}

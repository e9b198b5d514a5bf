/** `drover board`: HTTP API, live pages, Bull Board, recorder. */
import { examples, type Register } from '../program.ts'
import { roleLogger, untilTold } from '../stack/service.ts'

export const registerBoard: Register = (program, context) => {
  program
    .command('board')
    .description(
      'Serves the HTTP API, the live pages and Bull Board, and records what happens in the ledger.',
    )
    .option('--host <address>', 'address to listen on (DROVER_HOST)')
    .option('--port <port>', 'port to listen on; 0 takes a free one (DROVER_PORT)')
    .addOption(program.createOption('--while-stdin', 'stop when standard input ends').hideHelp())
    .addHelpText(
      'after',
      examples('REDIS_URL=redis://redis:6379 drover board', 'drover board --port 0 --json'),
    )
    .action(async (options) => {
      const [{ loadAgentSpecs }, { redisUrlOf }, { createBoard }, { createSecretKeeper }] = await Promise.all(
        [
          import('../../config/spec-file.ts'),
          import('../stack/redis.ts'),
          import('../../board/server.ts'),
          import('../../telemetry/secret-keeper.ts'),
        ],
      )
      const { config } = await context.config()
      const { specs } = loadAgentSpecs({ path: config.agentSpecs, cwd: context.cwd })
      const told = untilTold(context, { whileStdin: options.whileStdin === true })
      try {
        const keeper = createSecretKeeper(config, context.env)
        const board = await createBoard({
          config,
          specs,
          redisUrl: await redisUrlOf(config),
          environment: context.env,
          log: await roleLogger(context, config, 'board', keeper),
          redact: keeper.text,
        })
        const ready = { success: true, url: board.url, pid: process.pid, namespace: config.namespace }
        await told.ready(ready, `board at ${board.url}; Bull Board at ${board.url}/queues; Ctrl-C stops`)
        await told.first
        await board.stop()
      } finally {
        told.close()
      }
    })
}

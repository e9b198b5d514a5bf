/** `drover board`: HTTP API, live pages, Bull Board, recorder. */
import { examples, type Register } from '../program.ts'
import { roleLogger, sayProblem, untilTold } from '../stack/service.ts'

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
      const [{ loadAgentSpecs }, { watchSpecs }, { redisUrlOf }, { createBoard }, { createSecretKeeper }] =
        await Promise.all([
          import('../../config/spec-file.ts'),
          import('../../config/watch-specs.ts'),
          import('../stack/redis.ts'),
          import('../../board/server.ts'),
          import('../../telemetry/secret-keeper.ts'),
        ])
      const { config } = await context.config()
      const source = { path: config.agentSpecs, cwd: context.cwd }
      const { specs } = loadAgentSpecs(source)
      const told = untilTold(context, { whileStdin: options.whileStdin === true })
      try {
        const keeper = createSecretKeeper(config, context.env)
        const log = await roleLogger(context, config, 'board', keeper)
        const board = await createBoard({
          config,
          specs,
          redisUrl: await redisUrlOf(config),
          environment: context.env,
          log,
          redactor: keeper,
        })
        const watch = watchSpecs({
          ...source,
          onChange: ({ specs: now }) => board.serve(now),
          onProblem: (problem) => sayProblem(log, problem),
        })
        const ready = { success: true, url: board.url, pid: process.pid, namespace: config.namespace }
        await told.ready(ready, `board at ${board.url}; Bull Board at ${board.url}/queues; Ctrl-C stops`)
        await told.first
        watch.stop()
        await board.stop()
      } finally {
        told.close()
      }
    })
}

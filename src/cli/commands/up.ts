/** `drover up`: everything on this machine. */
import { examples, type Register } from '../program.ts'
import { REHEARSE_OPTION, scriptName } from '../stack/rehearse.ts'
import { untilTold } from '../stack/service.ts'

export const registerUp: Register = (program, context) => {
  program
    .command('up')
    .description('Brings everything up on this machine: Redis if none is configured, one pod, the board.')
    .option('--host <address>', 'address of the board (DROVER_HOST)')
    .option('--port <port>', 'port of the board; 0 takes a free one (DROVER_PORT)')
    .option('--types <a,b>', 'serve only these agent types')
    .option('--max-sessions <n>', 'sessions at once; 0 = no limit (DROVER_MAX_SESSIONS)')
    .option(...REHEARSE_OPTION)
    .addOption(program.createOption('--while-stdin', 'stop when standard input ends').hideHelp())
    .addHelpText(
      'after',
      examples(
        'drover up                       # then, elsewhere: drover spawn architect "Design a cache"',
        'drover up --rehearse            # without an account',
        'DROVER_DATA_DIR=/srv/drover drover up --port 8080',
      ),
    )
    .action(async (options) => {
      const { output } = context
      const { config } = await context.config()
      const rehearsal = scriptName(options.rehearse)
      // Problems of the script and the specs are said here, before anything is started.
      const [{ loadScript }, { loadAgentSpecs }, { startUp }, { maskRedisUrl }] = await Promise.all([
        import('../../rehearsal/load-script.ts'),
        import('../../config/spec-file.ts'),
        import('../stack/up.ts'),
        import('../../queue/connection.ts'),
      ])
      if (rehearsal !== null) await loadScript(rehearsal)
      loadAgentSpecs({ path: config.agentSpecs, cwd: context.cwd })

      const told = untilTold(context, { whileStdin: options.whileStdin === true })
      try {
        const up = await startUp({
          config,
          env: context.env,
          cwd: context.cwd,
          rehearsal,
          workerArgs: [
            ...(options.types === undefined ? [] : ['--types', options.types]),
            ...(options.maxSessions === undefined ? [] : ['--max-sessions', options.maxSessions]),
            ...(rehearsal === null ? [] : [`--rehearse=${rehearsal}`]),
          ],
          say: output.note,
          warn: output.note,
        })
        const model = rehearsal === null ? 'the real model' : `rehearsal "${rehearsal}"`
        const where = up.url === config.client.url ? '' : `DROVER_URL=${up.url} `
        const ready = {
          success: true,
          url: up.url,
          redis_url: maskRedisUrl(up.redisUrl),
          namespace: config.namespace,
          data_dir: config.dataDir,
          pid: process.pid,
          rehearsal,
        }
        await told.ready(
          ready,
          [
            `Drover is up: ${up.url} (${model})`,
            `  queues   ${up.url}/queues`,
            `  Redis    ${maskRedisUrl(up.redisUrl)}`,
            `  ledger   ${config.dataDir}/orchestrator.db`,
            `  try      ${where}drover spawn architect "…" --wait completed`,
            'Ctrl-C drains and stops; twice stops at once.',
          ].join('\n'),
        )
        const died = await Promise.race([told.first.then(() => null), up.redisDied.then(() => 'Redis')])
        if (died !== null) output.note('the embedded Redis died; stopping')
        const stopped = up.stop()
        void told.second.then(up.hurry)
        if (died !== null) up.hurry()
        await stopped
        if (died !== null) context.setExitCode(3)
      } finally {
        told.close()
      }
    })
}

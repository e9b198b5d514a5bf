/** `drover worker`: one pod. */
import { setFlagsFromString } from 'node:v8'
import { systemClock } from '../../core/clock.ts'
import { DroverError } from '../../core/errors.ts'
import { examples, type Register } from '../program.ts'
import { MAIN } from '../stack/role.ts'
import { REHEARSE_OPTION, rehearsalOf } from '../stack/rehearse.ts'
import { roleLogger, sayProblem, untilTold } from '../stack/service.ts'
import { toolsDirOf } from '../stack/tools.ts'

export const registerWorker: Register = (program, context) => {
  program
    .command('worker')
    .description('Runs one pod: takes sessions from the queues and runs their agents.')
    .option('--types <a,b>', 'serve only these agent types')
    .option('--max-sessions <n>', 'sessions at once; 0 = no limit (DROVER_MAX_SESSIONS)')
    .option(...REHEARSE_OPTION)
    .addOption(program.createOption('--while-stdin', 'stop when standard input ends').hideHelp())
    .addHelpText(
      'after',
      examples(
        'REDIS_URL=redis://redis:6379 drover worker',
        'drover worker --types architect,code_reviewer --max-sessions 2',
        'drover worker --rehearse=api-error      # the real CLI, a scripted model',
      ),
    )
    .action(async (options) => {
      // A pod waits most of its life: a small heap is worth more than the last per cent of speed. Set before the
      // modules are loaded that fill it; measured at rest: 113 MB without, see docs/benchmarks.md.
      setFlagsFromString('--optimize-for-size')
      const [
        { loadAgentSpecs },
        { watchSpecs },
        { findAgentType },
        { redisUrlOf },
        { findClaude },
        { createPod },
        { createSecretKeeper },
      ] = await Promise.all([
        import('../../config/spec-file.ts'),
        import('../../config/watch-specs.ts'),
        import('../../config/agent-spec.ts'),
        import('../stack/redis.ts'),
        import('../../setup/claude-cli.ts'),
        import('../../worker/pod.ts'),
        import('../../telemetry/secret-keeper.ts'),
      ])
      const { config } = await context.config()
      const source = { path: config.agentSpecs, cwd: context.cwd }
      const all = loadAgentSpecs(source).specs
      const named = options.types?.split(',').map((name) => name.trim())
      const specs = new Map((named ?? [...all.keys()]).map((name) => [name, findAgentType(all, name)]))
      if (specs.size === 0) throw new DroverError('invalid_request', '--types names no agent type.')

      const redisUrl = await redisUrlOf(config)
      const claude = await findClaude({
        path: config.claude.path,
        searchPath: context.env.PATH ?? '',
        toolsDir: toolsDirOf(config),
        say: context.output.note,
      })
      const told = untilTold(context, { whileStdin: options.whileStdin === true })
      const rehearsal = await rehearsalOf(options.rehearse)
      const secrets = createSecretKeeper(config, context.env)
      try {
        const log = await roleLogger(context, config, 'worker', secrets)
        const pod = await createPod({
          config,
          specs,
          redisUrl,
          claude: claude.path,
          rehearsal,
          environment: context.env,
          url: config.client.url,
          drover: { command: process.execPath, args: [MAIN] },
          log,
          secrets,
          clock: systemClock,
        })
        const watch = watchSpecs({
          ...source,
          onChange: async ({ specs: now }) => {
            // Of those that were named, one that is gone is not served, and one that comes back is again.
            const kept = [...now].filter(([name]) => named === undefined || named.includes(name))
            await pod.serve(new Map(kept))
          },
          onProblem: (problem) => sayProblem(log, problem),
        })
        const ready = {
          success: true,
          pod_id: config.podId,
          pid: process.pid,
          agent_types: [...specs.keys()],
        }
        await told.ready(ready, `pod ${config.podId} serves ${[...specs.keys()].join(', ')}; Ctrl-C drains`)
        await told.first
        watch.stop()
        const stopped = pod.stop(config.worker.drainGraceMs)
        void told.second.then(() => pod.stop(0))
        await stopped
      } finally {
        await rehearsal?.stop()
        told.close()
      }
    })
}

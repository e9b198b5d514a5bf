/** `drover tasks cancel|retry|depend|graph` */
import { Option } from '@commander-js/extra-typings'
import { killBodySchema, dependenciesBodySchema, parseRequest } from '../../core/request.ts'
import { connect } from '../connect.ts'
import { collect, seconds, wholeNumber } from '../options.ts'
import { examples, type CliContext, type Program } from '../program.ts'

/** Declares them beside the other commands of `drover tasks`. */
export function addTaskControl(tasks: ReturnType<Program['command']>, context: CliContext): void {
  tasks
    .command('cancel')
    .description('Cancels a task; its session ends as drover kill ends one. What waits for it is blocked.')
    .argument('<task_id>', 'id of the task')
    .option('--reason <text>', 'recorded with it')
    .option('--grace <seconds>', 'between SIGTERM and SIGKILL, where its agent runs', seconds)
    .option('--force', 'SIGKILL at once')
    .addHelpText('after', examples('drover tasks cancel TASK-31-1 --reason "no longer needed"'))
    .action(async (taskId, { reason, grace, force }) => {
      const body = parseRequest(killBodySchema, { reason, grace_seconds: grace, force })
      const client = await connect(context)
      const answer = await client.cancelTask(taskId, body)
      await context.output.answer(answer, () => answer.message)
    })

  tasks
    .command('retry')
    .description('Runs a task again that failed or was cancelled; what it blocked waits again.')
    .argument('<task_id>', 'id of the task')
    .addHelpText('after', examples('drover tasks retry TASK-31-1'))
    .action(async (taskId) => {
      const client = await connect(context)
      const answer = await client.retryTask(taskId)
      await context.output.answer(answer, () => answer.message)
    })

  tasks
    .command('depend')
    .description('Makes a task that has not begun wait for more tasks.')
    .argument('<task_id>', 'id of the task')
    .requiredOption('--on <task_id>', 'what it is to wait for; may be repeated', collect)
    .addHelpText('after', examples('drover tasks depend TASK-31-2 --on TASK-31-1'))
    .action(async (taskId, { on }) => {
      const body = parseRequest(dependenciesBodySchema, { depends_on: on })
      const client = await connect(context)
      const answer = await client.addDependencies(taskId, body)
      await context.output.answer(answer, () => answer.message)
    })

  tasks
    .command('graph')
    .description('Shows which tasks wait for which, in the order in which they can run.')
    .option('--task-id <id>', 'only this one, what it waits for, and what waits for it')
    .option('--limit <n>', 'at most so many, the newest, up to 10000 (1000)', wholeNumber)
    .addOption(
      new Option('--format <format>', 'how it is shown')
        .choices(['text', 'mermaid'])
        .default('text' as const),
    )
    .addHelpText(
      'after',
      examples('drover tasks graph', 'drover tasks graph --task-id TASK-31-1 --format mermaid'),
    )
    .action(async ({ taskId, limit, format }) => {
      const client = await connect(context)
      const [{ graphText, graphMermaid }, graph] = await Promise.all([
        import('../task-graph.ts'),
        client.taskGraph({ task_id: taskId, limit }),
      ])
      await context.output.answer(graph, () =>
        format === 'mermaid' ? graphMermaid(graph) : graphText(graph, context.output),
      )
    })
}

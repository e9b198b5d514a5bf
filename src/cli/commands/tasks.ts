/** `drover tasks add|import|list|show`; the others are in `task-control.ts`. */
import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import { taskSchema } from '../../core/request.ts'
import { connect, filterOf, isLoopback } from '../connect.ts'
import { makeRequest } from '../make-request.ts'
import { collect, namedValue, wholeNumber } from '../options.ts'
import { examples, type CliContext, type Program, type Register } from '../program.ts'
import { checkWorkspaceOption, readPrompt, readPromptIfGiven, workspaceProblem } from '../prompt.ts'
import type { TasksFile } from '../tasks-file.ts'
import { addTaskControl } from './task-control.ts'

/** Declares `drover tasks`. */
export const registerTasks: Register = (program, context) => {
  const tasks = program
    .command('tasks')
    .description('Units of work that wait for one another; each becomes a session when it is ready.')

  tasks
    .command('add')
    .description('Adds one task.')
    .argument('<agent_type>', 'agent type, such as architect')
    .argument('[prompt...]', 'what to do; "-" reads it from standard input')
    .option('--prompt-file <file>', 'read the prompt from a file')
    .option('--task-id <id>', 'id of the task, such as TASK-31-1 (one is made)')
    .option('--depends-on <task_id>', 'wait for this task; may be repeated', collect)
    .option('--priority <n>', '1 runs first (its priority number, else 1000)', wholeNumber)
    .option('--priority-number <n>', 'its place in the roadmap', wholeNumber)
    .option('--workspace <dir>', 'directory that the agent works in', '.')
    .option('--worktree', 'in a git worktree of its own, on branch drover/<task_id>')
    .option('--template <name>', 'prompt of the agent type to use; a prompt that is given is its {{task}}')
    .option('--var <name=value>', 'a variable of the template; may be repeated', namedValue)
    .addHelpText(
      'after',
      examples(
        'drover tasks add architect --task-id SPEC "Write docs/SPEC.md for a greeting program"',
        'drover tasks add code_developer --depends-on SPEC "Implement docs/SPEC.md"',
        'drover tasks add architect --template create_spec --priority-number 31',
      ),
    )
    .action(async (agentType, words, options) => {
      const client = await connect(context)
      const read = options.template === undefined ? readPrompt : readPromptIfGiven
      const workspace = resolve(context.cwd, options.workspace)
      const sources = {
        prompt: () => read(context, words, options.promptFile),
        workspace_dir: async () =>
          isLoopback(client.url) ? await checkWorkspaceOption(workspace) : workspace,
      }
      const task = await makeRequest(taskSchema, sources, ({ prompt, workspace_dir }) => ({
        task_id: options.taskId ?? `task-${randomUUID().replaceAll('-', '').slice(0, 12)}`,
        agent_type: agentType,
        prompt,
        workspace_dir,
        worktree: options.worktree,
        priority: options.priority,
        priority_number: options.priorityNumber,
        depends_on: options.dependsOn,
        template: options.template,
        vars: options.var,
      }))
      const added = await client.addTasks([task])
      const { addedText } = await import('../show-tasks.ts')
      await context.output.answer(added, () => addedText(added, 1))
    })

  tasks
    .command('import')
    .description('Adds all tasks of a YAML file, or none. Repeating it adds what is new.')
    .argument(
      '<file>',
      'tasks: [{task_id, agent_type, prompt, …}], and priorities: [{priority_number, title}]',
    )
    .addHelpText('after', examples('drover tasks import tasks.yaml'))
    .action(async (file) => {
      const [client, { readTasksFile }, { addedText }] = await Promise.all([
        connect(context),
        import('../tasks-file.ts'),
        import('../show-tasks.ts'),
      ])
      const read = readTasksFile(resolve(context.cwd, file), context.cwd)
      if (isLoopback(client.url)) await checkWorkspaces(read)
      const added = await client.addTasks(read.tasks, read.priorities).catch((error: unknown) => {
        throw read.located(error)
      })
      await context.output.answer(added, () => addedText(added, read.tasks.length))
    })

  addReading(tasks, context)
  addTaskControl(tasks, context)
}

function addReading(tasks: ReturnType<Program['command']>, context: CliContext): void {
  tasks
    .command('list')
    .description('Lists tasks, newest first.')
    .option('--status <state>', 'only those in this state, or in these: pending,blocked')
    .option('--agent-type <type>', 'only those of this agent type')
    .option('--since <time>', 'only those created since, such as 2026-01-31T08:00:00Z')
    .option('--until <time>', 'only those created until then')
    .option('--q <text>', 'only those with this text in id, type or prompt')
    .option('--limit <n>', 'at most so many, up to 200', wholeNumber)
    .option('--cursor <cursor>', 'go on where the page before ended')
    .addHelpText('after', examples('drover tasks list --status blocked', 'drover tasks list --json'))
    .action(async (options) => {
      const client = await connect(context)
      const [{ tasksTable }, page] = await Promise.all([
        import('../show-tasks.ts'),
        client.tasks(filterOf(options)),
      ])
      await context.output.answer(page, () => tasksTable(page, context.output, new Date()))
    })

  tasks
    .command('show')
    .description('Shows one task: its state, what it waits for, its session, its prompt.')
    .argument('<task_id>', 'id of the task')
    .addHelpText('after', examples('drover tasks show TASK-31-1'))
    .action(async (taskId) => {
      const client = await connect(context)
      const [{ taskText }, document] = await Promise.all([import('../show-tasks.ts'), client.task(taskId)])
      await context.output.answer(document, () => taskText(document, context.output))
    })
}

/** The board's pods are on this machine: what is no directory here is none there. */
async function checkWorkspaces(file: TasksFile): Promise<void> {
  const found = await Promise.all(
    file.tasks.map(async ({ workspace_dir: dir }, index) => {
      const problem = await workspaceProblem(dir ?? '/')
      return problem === null
        ? []
        : [{ path: ['tasks', index, 'workspace_dir'], problem: `is ${dir}, which ${problem}` }]
    }),
  )
  const problems = found.flat()
  if (problems.length > 0) throw file.refused(problems)
}

/** `drover spawn`: asks for a session, and waits for it as long as was asked. */
import { resolve } from 'node:path'
import { randomUUID } from 'node:crypto'
import { Option } from '@commander-js/extra-typings'
import { ON_BUSY, spawnBodySchema, WAITS } from '../../core/request.ts'
import type { SpawnDocument } from '../../producer/http-client.ts'
import { connect, isLoopback } from '../connect.ts'
import { makeRequest } from '../make-request.ts'
import { collect, namedValue, wholeNumber } from '../options.ts'
import { examples, type CliContext, type Register } from '../program.ts'
import { checkWorkspaceOption, readPrompt, readPromptIfGiven } from '../prompt.ts'
import { awaitSession } from '../spawn/await-session.ts'
import { sayAnswer } from '../spawn/say-answer.ts'

interface SpawnOptions {
  readonly promptFile?: string | undefined
  readonly taskId?: string | undefined
  readonly orchestratorId?: string | undefined
  readonly workspace?: string | undefined
  readonly worktree?: boolean | undefined
  readonly timeout?: number | undefined
  readonly autoRestart: boolean
  readonly priority?: number | undefined
  readonly dependsOn?: readonly string[] | undefined
  readonly createdBy?: string | undefined
  readonly template?: string | undefined
  readonly var?: Readonly<Record<string, string>> | undefined
  readonly wait: (typeof WAITS)[number]
  readonly onBusy: (typeof ON_BUSY)[number]
}

/** Declares `drover spawn`. */
export const registerSpawn: Register = (program, context) => {
  program
    .command('spawn')
    .description('Asks for a session of an agent type; by default waits until its agent runs.')
    .argument('<agent_type>', 'agent type, such as architect')
    .argument('[prompt...]', 'what to do; "-" reads it from standard input')
    .option('--prompt-file <file>', 'read the prompt from a file')
    .option('--task-id <id>', 'run this task; what is not given here comes from it')
    .option('--orchestrator-id <id>', 'who asks, for your own records')
    .option('--workspace <dir>', 'directory that the agent works in (the current one)')
    .option('--worktree', 'in a git worktree of its own, on branch drover/<task or session id>')
    .option('--no-worktree', 'in the directory itself, whatever the agent type says')
    .option('--timeout <seconds>', 'bounds the session as a whole, restarts included', wholeNumber)
    .option('--no-auto-restart', 'do not go on after a crash')
    .option('--priority <n>', '1 runs first (1000)', wholeNumber)
    .option('--depends-on <task_id>', 'wait for this task; may be repeated', collect)
    .option('--template <name>', 'prompt of the agent type to use; a prompt that is given is its {{task}}')
    .option('--var <name=value>', 'a variable of the template; may be repeated', namedValue)
    .option('--idempotency-key <key>', 'submitting twice with one key runs once')
    .option(
      '--created-by <session_id>',
      'its parent; inside a session that one ($DROVER_SESSION_ID), "none" for none',
    )
    .addOption(new Option('--wait <what>', 'what to wait for').choices(WAITS).default('started' as const))
    .addOption(
      new Option('--on-busy <what>', 'when it could not run at once')
        .choices(ON_BUSY)
        .default('queue' as const),
    )
    .addHelpText(
      'after',
      examples(
        'drover spawn architect "Write docs/SPEC.md for a greeting program"',
        'drover spawn code_developer --prompt-file task.md --workspace ../shop --wait completed',
        'git diff | drover spawn code_reviewer - --wait accepted --json',
        'drover spawn architect --task-id TASK-31-1',
        'drover spawn code_developer "Fix the greeting" --worktree',
        'drover spawn code_developer --template bug_fix --var issue="the total of an empty cart is NaN"',
        'drover spawn architect -- "-v is not enough: explain the flag"',
      ),
    )
    .action(async (agentType, words, { idempotencyKey, ...options }) => {
      const client = await connect(context)
      const body = await requestOf(context, client.url, agentType, words, options)
      // With a key of our own, the request can be made again when its answer is lost.
      const key = idempotencyKey ?? `drover-cli-${randomUUID()}`
      const createdBy = parentOf(context, options.createdBy)
      const answer = await awaitSession(context, client, body, { idempotencyKey: key, createdBy })
      if (answer !== null) await sayAnswer(context, answer)
    })
}

/** An agent that asks for a session is its parent, and need not say so. */
function parentOf({ env }: CliContext, given: string | undefined): string | undefined {
  if (given !== undefined) return given === 'none' ? undefined : given
  return env['DROVER_SESSION_ID'] || undefined
}

/** The request, with everything that can be wrong on this side said before anything is sent. */
async function requestOf(
  context: CliContext,
  boardUrl: string,
  agentType: string,
  words: readonly string[],
  options: SpawnOptions,
): Promise<SpawnDocument> {
  const fromTask = options.taskId !== undefined
  const read = fromTask || options.template !== undefined ? readPromptIfGiven : readPrompt
  const workspace =
    options.workspace === undefined && fromTask ? null : resolve(context.cwd, options.workspace ?? '.')
  const sources = {
    prompt: () => read(context, words, options.promptFile),
    workspace_dir: async () =>
      workspace !== null && isLoopback(boardUrl) ? await checkWorkspaceOption(workspace) : workspace,
  }
  return await makeRequest(spawnBodySchema, sources, ({ prompt, workspace_dir }) => ({
    agent_type: agentType,
    prompt,
    task_id: options.taskId,
    orchestrator_id: options.orchestratorId,
    workspace_dir,
    worktree: options.worktree,
    timeout_seconds: options.timeout,
    // Without the option the agent type's own rule holds.
    auto_restart: options.autoRestart ? undefined : false,
    priority: options.priority,
    depends_on: options.dependsOn,
    template: options.template,
    vars: options.var,
    wait: options.wait,
    on_busy: options.onBusy,
  }))
}

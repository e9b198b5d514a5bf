/** Plays the demo: a workspace, two tasks, two sessions, and a look at what they did. */
import { basename, join } from 'node:path'
import type { CompletedAnswer } from '../../core/answer.ts'
import type { TaskRequest } from '../../core/request.ts'
import { loadAgentSpecs } from '../../config/spec-file.ts'
import { loadScript } from '../../rehearsal/load-script.ts'
import type { CliContext } from '../program.ts'
import { followSessions } from '../stack/follow.ts'
import { prepareHere } from '../stack/prepare.ts'
import { makeRunDir, useUp, type UsedUp } from '../stack/own-up.ts'
import { problemsOf } from './verify.ts'
import { makeWorkspace, writtenFiles, type DemoFile } from './workspace.ts'

const SPEC_PROMPT = `Write docs/SPEC.md: the specification of a small greeting program.
greet.mjs exports greet(name) and prints "Hello, <name>!" (or "Hello, world!" without a name) when it is run;
greet.test.mjs tests it with Node's own test runner and no package. Half a page is enough.`
const CODE_PROMPT = `Implement docs/SPEC.md: write greet.mjs and greet.test.mjs, then run the tests with node --test.`

export interface DemoOptions {
  /** Name of the rehearsal script; null: the real model. */
  readonly script: string | null
  readonly keep: boolean
  /** Ends the demo early; it throws. */
  readonly stop: AbortSignal
}

/** The document of CONTRACT §3; `problems` say why `success` is false. */
export interface DemoDocument {
  readonly success: boolean
  readonly workspace_dir: string
  readonly ledger: string
  readonly board_url: string
  readonly sessions: readonly CompletedAnswer[]
  readonly files: readonly DemoFile[]
  readonly duration_ms: number
  readonly problems?: readonly string[]
  /** With `--keep`: of the Drover that was left running; SIGTERM stops it and all that it started. */
  readonly pid?: number
}

export async function playDemo(
  context: CliContext,
  { script, keep, stop }: DemoOptions,
): Promise<DemoDocument> {
  const { output } = context
  const startedAt = performance.now()
  const { config } = await context.config()
  await prepareHere(context, config, script)
  const specs = loadAgentSpecs({ path: config.agentSpecs, cwd: context.cwd }).specs

  const dataDir = await makeRunDir(config, 'demo')
  const workspace = join(dataDir, 'workspace')
  await makeWorkspace(workspace, context.env)
  output.note(
    script === null
      ? 'the real model answers'
      : `a scripted model answers (rehearsal "${script}"); nothing is spent`,
  )
  output.note('starting Redis, the board and one pod')
  const up = await useUp({
    config,
    env: context.env,
    cwd: context.cwd,
    folder: 'demo',
    rehearsal: script,
    workspace,
    dataDir,
    keep,
    say: output.note,
  })
  try {
    const tasks = demoTasks(basename(dataDir), workspace)
    const sessions = await followSessions(
      { context, url: up.url, token: up.token, stop },
      tasks.map(({ task_id, agent_type }) => ({ task_id, agent_type })),
      async (client) => void (await client.addTasks(tasks)),
    )
    const files = await writtenFiles(workspace)
    const problems = problemsOf({
      sessions,
      files,
      script: script === null ? null : await loadScript(script),
      models: new Map([...specs.values()].map((spec) => [spec.name, spec.model])),
    })
    await putAway(up, keep)
    return {
      success: problems.length === 0,
      workspace_dir: workspace,
      ledger: up.ledger,
      board_url: up.url,
      sessions,
      files,
      duration_ms: Math.round(performance.now() - startedAt),
      ...(problems.length === 0 ? {} : { problems }),
      ...(keep && up.own ? { pid: up.pid } : {}),
    }
  } catch (error) {
    await up.stop(true)
    throw error
  }
}

async function putAway(up: UsedUp, keep: boolean): Promise<void> {
  if (keep) up.release()
  else await up.stop(false)
}

/** The developer's task depends on the architect's: both are queued before either runs. */
function demoTasks(stamp: string, workspace: string): (TaskRequest & { readonly workspace_dir: string })[] {
  const spec = `DEMO-${stamp}-SPEC`
  return [
    { task_id: spec, agent_type: 'architect', prompt: SPEC_PROMPT, workspace_dir: workspace },
    {
      task_id: `DEMO-${stamp}-CODE`,
      agent_type: 'code_developer',
      prompt: CODE_PROMPT,
      workspace_dir: workspace,
      depends_on: [spec],
    },
  ]
}

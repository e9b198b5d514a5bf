/**
 * A one-turn session, from a warm producer to its completed answer, against `claude -p` alone: the same CLI, the same
 * command line and environment, the same scripted model; the pod is a process of its own, as in production. The bare
 * one keeps one configuration directory, as a user's does; Drover's sessions get one each, which is part of the price.
 * An agent that is granted tools of Drover has an MCP server more, whose start the CLI waits for: that is shown apart.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { findAgentType } from '../src/config/agent-spec.ts'
import { loadAgentSpecs } from '../src/config/spec-file.ts'
import { newSessionId } from '../src/core/ids.ts'
import { NO_FACTS, observe } from '../src/core/outcome.ts'
import { createProducer } from '../src/index.ts'
import { loadScript } from '../src/rehearsal/load-script.ts'
import { startRehearsal } from '../src/rehearsal/rehearsal.ts'
import { buildArgv } from '../src/session/argv.ts'
import { buildEnvironment } from '../src/session/environment.ts'
import { readLine } from '../src/session/line.ts'
import { claudePath } from '../test/support/claude.ts'
import { median, summarize, type Result } from './report.ts'
import { measurePairs, type Stage } from './stage.ts'
import { startWorker, type BenchWorker } from './worker.ts'

const MODEL = 'opus'
/** Without tools of Drover's own MCP server, so that the CLI starts what it would start by itself; and as by default. */
const PLAIN = 'plain'
const WITH_TOOLS = 'with_tools'
const AGENT_TYPES = {
  [PLAIN]: { description: 'A session and nothing more', model: MODEL, orchestrator_tools: [] },
  [WITH_TOOLS]: { description: 'One that has mail, as every type does by default', model: MODEL },
}
const NAMESPACE = 'bench-session'
const PROMPT = 'Say in one sentence what you were asked.'

export async function benchSession(stage: Stage): Promise<readonly Result[]> {
  const rehearsal = await startRehearsal(await loadScript('default'))
  stage.defer(() => rehearsal.stop())
  // The pod takes the scripted model for the vendor's: nothing of its way is a rehearsal's.
  const account = rehearsal.environment(PLAIN, 'bench')
  const worker = await startWorker(stage, {
    namespace: NAMESPACE,
    claude: claudePath(),
    agentTypes: AGENT_TYPES,
    env: account,
  })
  const producer = createProducer({ redisUrl: stage.redisUrl, namespace: worker.namespace })
  stage.defer(() => producer.close())

  async function ours(agentType: string): Promise<number> {
    const start = performance.now()
    const { sessionId } = await producer.spawn({
      agentType,
      prompt: PROMPT,
      workspaceDir: worker.workspace,
    })
    const result = await producer.result(sessionId)
    const ms = performance.now() - start
    if (!result.success) throw new Error(`a session failed: ${result.message}`)
    return ms
  }
  const bare = await prepareBare(stage, worker, account)

  async function measure(agentType: string, title: string, goal: Result['goal']): Promise<Result> {
    await bare()
    await ours(agentType)
    const measured = await measurePairs(stage.pairs, () => ours(agentType), bare)
    return {
      bench: 'session',
      title,
      unit: 'ms',
      measured: summarize(measured.map((pair) => pair.ours - pair.bare)),
      goal,
      details: [
        { label: 'claude -p', value: median(measured.map((pair) => pair.bare)), unit: 'ms' },
        { label: 'session', value: median(measured.map((pair) => pair.ours)), unit: 'ms' },
      ],
    }
  }
  return [
    await measure(PLAIN, 'a one-turn session, warm producer to completed answer, against `claude -p` alone', {
      op: '<=',
      value: 100,
    }),
    await measure(
      WITH_TOOLS,
      "the same of a type with tools of Drover's MCP server, which the CLI starts",
      null,
    ),
  ]
}

/** `claude -p` with the prompt on its standard input; answers how long it took until its end. */
async function prepareBare(
  stage: Stage,
  { workspace }: BenchWorker,
  account: Readonly<Record<string, string>>,
): Promise<() => Promise<number>> {
  const [home, configDir, tmpDir] = ['home', 'claude', 'tmp'].map((name) =>
    join(stage.dir, 'bare', name),
  ) as [string, string, string]
  for (const dir of [home, configDir, tmpDir]) await mkdir(dir, { recursive: true })
  // As the pod has it.
  const path = join(stage.dir, NAMESPACE, 'agent_specs.json')
  const spec = findAgentType(loadAgentSpecs({ path, cwd: stage.dir }).specs, PLAIN)
  const env = buildEnvironment({
    from: { PATH: process.env.PATH, HOME: home, ...account },
    spec,
    sessionId: '',
    agentId: '',
    agentType: PLAIN,
    taskId: null,
    orchestratorId: null,
    attempt: 1,
    url: '',
    token: '',
    configDir,
    home,
    idleTimeoutMs: 1_800_000,
    startupTimeoutMs: 10_000,
    tmpDir,
    rehearsal: null,
  })
  const stopped = new AbortController()
  stage.defer(() => stopped.abort())

  return async () => {
    const argv = buildArgv({ spec, sessionId: newSessionId(), resume: false, mcpConfigPath: null })
    const start = performance.now()
    const child = spawn(
      claudePath(),
      argv.filter((argument) => argument !== '--input-format=stream-json'),
      { cwd: workspace, env, stdio: ['pipe', 'pipe', 'inherit'], signal: stopped.signal },
    )
    child.stdin.end(PROMPT)
    const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
    const ms = performance.now() - start
    if (code !== 0 || !isSuccess(output))
      throw new Error(`claude -p failed (${code}): ${output.slice(-2000)}`)
    return ms
  }
}

/** Is the last line a result without an error? Judged as Drover does. */
function isSuccess(output: string): boolean {
  const last = output.trimEnd().split('\n').at(-1) ?? ''
  const { message } = readLine(Buffer.from(last), 1, false)
  return observe(NO_FACTS, message).lastResult?.isError === false
}

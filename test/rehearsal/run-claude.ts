/** Runs the real CLI against a rehearsal, with nothing of this machine's environment but the PATH. */
import { spawn } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Rehearsal } from '../../src/rehearsal/rehearsal.ts'
import { claudePath } from '../support/claude.ts'

const lineSchema = z.looseObject({ type: z.string(), subtype: z.string().optional() })
const resultSchema = z.looseObject({
  type: z.literal('result'),
  subtype: z.string(),
  is_error: z.boolean(),
  result: z.string(),
  num_turns: z.number(),
  permission_denials: z.array(z.looseObject({ tool_name: z.string() })),
})
type Line = z.infer<typeof lineSchema>

export interface ClaudeOptions {
  readonly rehearsal: Rehearsal
  /** Holds the home and, where no `workspace` is given, the working directory. */
  readonly dir: string
  readonly sessionId: string
  readonly agentType?: string
  readonly workspace?: string
  readonly model?: string
  readonly prompt?: string
  /** Goes on with the session instead of beginning it. */
  readonly resume?: boolean
}

export interface RunningClaude {
  readonly pid: number
  /** The lines printed so far. */
  lines(): readonly Line[]
  readonly ended: Promise<ClaudeEnd>
}

interface ClaudeEnd {
  readonly exitCode: number | null
  readonly signal: string | null
  readonly lines: readonly Line[]
}

/** Starts the CLI as Drover does, with the prompt as its only message. */
export async function startClaude(options: ClaudeOptions): Promise<RunningClaude> {
  const { rehearsal, dir, sessionId, agentType = 'architect' } = options
  const home = join(dir, 'home')
  const workspace = options.workspace ?? join(dir, 'workspace')
  const temp = join(dir, 'claude-tmp')
  for (const each of [home, workspace, temp]) await mkdir(each, { recursive: true })

  const mode = ['-p', '--input-format', 'stream-json', '--output-format', 'stream-json', '--verbose']
  const rights = [
    '--setting-sources=user',
    '--permission-mode',
    'dontAsk',
    '--allowedTools=Read,Glob,Write,Bash,Agent',
  ]
  const session = [options.resume === true ? '--resume' : '--session-id', sessionId]
  const child = spawn(claudePath(), [...mode, ...rights, ...session, '--model', options.model ?? 'sonnet'], {
    cwd: workspace,
    env: {
      PATH: process.env['PATH'],
      HOME: home,
      TMPDIR: temp,
      // As Drover sets them: subagents run in the foreground, and what they say is printed.
      CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '1',
      CLAUDE_CODE_FORWARD_SUBAGENT_TEXT: '1',
      ...rehearsal.environment(agentType, sessionId),
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const message = { type: 'user', message: { role: 'user', content: options.prompt ?? 'do your part' } }
  child.stdin.end(`${JSON.stringify(message)}\n`)

  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  const lines = (): Line[] => {
    return output
      .split('\n')
      .slice(0, -1)
      .map((line) => lineSchema.parse(JSON.parse(line)))
  }
  const ended = new Promise<ClaudeEnd>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode, signal) => resolve({ exitCode, signal, lines: lines() }))
  })
  return { pid: child.pid ?? 0, lines, ended }
}

/** Runs the CLI to its end. */
export async function runClaude(options: ClaudeOptions) {
  const running = await startClaude(options)
  const { exitCode, signal, lines } = await running.ended
  const line = lines.findLast(({ type }) => type === 'result')
  if (line === undefined)
    throw new Error(`claude ended without a result: ${JSON.stringify({ exitCode, signal, lines })}`)
  return { exitCode, lines, line, result: resultSchema.parse(line) }
}

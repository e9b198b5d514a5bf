/** How an agent of this pod is launched: its program, arguments, directories and environment. */
import { basename, join } from 'node:path'
import type { AgentSpec } from '../config/agent-spec.ts'
import type { Conversation } from '../core/agent-prompt.ts'
import { createRedactor } from '../core/redact.ts'
import { secretsOfVariables } from '../core/secrets.ts'
import { newSessionToken, secretPartOf, tokenHash } from '../core/token.ts'
import { SPOOL_FILE } from '../guard/protocol.ts'
import { sweepLeftovers } from '../guard/sweep.ts'
import type { SessionRecord } from '../queue/session-store.ts'
import { buildArgv } from '../session/argv.ts'
import { writeAgentRecord } from '../session/agent-record.ts'
import { createSessionDirectory, type SessionDirectory } from '../session/directory.ts'
import { prepareAgent } from '../session/agent-file.ts'
import { buildEnvironment } from '../session/environment.ts'
import {
  orchestratorTools,
  prepareMcpConfig,
  requiredServers,
  secretsOfMcp,
  type OwnProgram,
} from '../session/mcp.ts'
import { writeRedaction } from '../session/redaction-file.ts'
import { prepareSystemPrompt } from '../session/system-prompt.ts'
import { configDirOf, openTranscript, type Transcript } from '../session/transcript.ts'
import type { SecretKeeper } from '../telemetry/secret-keeper.ts'
import { identityOf } from '../setup/identity.ts'
import type { AgentPlan } from './agent-plan.ts'

/** What a rehearsal gives the CLI instead of an account; see rehearsal/. */
export interface RehearsedModel {
  environment(agentType: string, sessionId: string): Readonly<Record<string, string>>
}

export interface LauncherOptions {
  /** The `claude` program. */
  readonly file: string
  readonly dataDir: string
  /** The worker's own environment, of which the child gets what the allow-list names. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Without output and CPU for so long an agent is stalled; a spec's own value wins. */
  readonly idleTimeoutMs: number
  /** Until the CLI must have confirmed its start; a spec's own value wins. */
  readonly startupTimeoutMs: number
  /** Where agents reach Drover (`DROVER_URL`). */
  readonly url: string
  readonly rehearsal: RehearsedModel | null
  /** Starts the `drover` command, for the MCP server of sessions; null: they have none. */
  readonly drover: OwnProgram | null
  /** Learns what every agent is given. */
  readonly secrets: SecretKeeper
}

export interface Launcher {
  /**
   * Ends what an earlier agent of the session left on this machine, so that nobody writes to its conversation; and
   * then opens conversations where the session's next agent will look for them.
   */
  settle(session: {
    readonly record: SessionRecord
    readonly spec: AgentSpec
  }): Promise<(sessionId: string) => Transcript>
  /** @throws DroverError where the spec's MCP config is not one, or there is no such agent as it names */
  plan(session: {
    readonly record: SessionRecord
    readonly spec: AgentSpec
    readonly conversation: Conversation
    /** Where the agent works. */
    readonly cwd: string
  }): Promise<Pick<AgentPlan, 'file' | 'args' | 'tokenHash' | 'requiredServers' | 'prepare'>>
  /** The spool that an agent left on this machine, once nothing of the agent lives any more; null where there is none. */
  leftSpool(sessionId: string, agentId: string): Promise<string | null>
  /** This pod has done with the session: what only its agents had is no secret of the pod's any more. */
  release(sessionId: string): void
}

/** Where an agent's standard output is, on the machine that runs it. */
export function spoolOf(dataDir: string, sessionId: string, agentId: string): string {
  return join(createSessionDirectory(dataDir, sessionId).path, 'agents', agentId, SPOOL_FILE)
}

/** Milliseconds until the CLI of this type must have confirmed its start. */
export function startupTimeoutOf(
  spec: AgentSpec,
  { startupTimeoutMs }: { readonly startupTimeoutMs: number },
): number {
  return spec.startupTimeoutSeconds === null ? startupTimeoutMs : spec.startupTimeoutSeconds * 1000
}

export function createLauncher(options: LauncherOptions): Launcher {
  // What only a session's agents have: looked for in everything that the pod ever runs, it would add up.
  const ofSessions = new Map<string, string[]>()

  const directoryOf = (record: SessionRecord): SessionDirectory =>
    createSessionDirectory(options.dataDir, record.sessionId)

  function environmentOf(
    record: SessionRecord,
    spec: AgentSpec,
    agentId: string,
    token: string,
  ): Record<string, string> {
    const { configDir, home, tmpDir } = directoryOf(record)
    return buildEnvironment({
      from: options.environment,
      spec,
      sessionId: record.sessionId,
      agentId,
      agentType: record.agentType,
      taskId: record.request.task_id ?? null,
      orchestratorId: record.request.orchestrator_id ?? null,
      attempt: record.restarts + 1,
      idleTimeoutMs: options.idleTimeoutMs,
      startupTimeoutMs: startupTimeoutOf(spec, options),
      url: options.url,
      token,
      configDir,
      home,
      tmpDir,
      rehearsal: options.rehearsal?.environment(record.agentType, record.sessionId) ?? null,
    })
  }

  return {
    async settle({ record, spec }) {
      const directory = directoryOf(record)
      await directory.create()
      // Worker and guard may have died together: what an earlier agent of the session left ends before the next one.
      for (const agentDir of await directory.agents()) await sweepLeftovers(agentDir)
      // Which agent it is makes no difference to where its conversations are.
      const configDir = configDirOf(environmentOf(record, spec, '', '')) ?? directory.configDir
      return (sessionId) => openTranscript(configDir, sessionId, { redactor: options.secrets.values })
    },

    async plan({ record, spec, conversation, cwd }) {
      const directory = directoryOf(record)
      const token = newSessionToken(record.sessionId)
      const userDir = configDirOf(options.environment)
      const [mcp, systemPromptPath, agentsPath] = await Promise.all([
        prepareMcpConfig(spec, options.drover, join(directory.path, 'mcp.json')),
        prepareSystemPrompt(spec, join(directory.path, 'system-prompt.md')),
        prepareAgent(spec, { cwd, userDir }, join(directory.path, 'agents.json')),
      ])
      return {
        file: options.file,
        tokenHash: tokenHash(token),
        args: buildArgv({
          spec,
          sessionId: record.sessionId,
          resume: conversation === 'resumed',
          forkOf: conversation === 'forked' ? record.restartOf : null,
          mcpConfigPath: mcp?.path ?? null,
          orchestratorTools: orchestratorTools(spec, mcp),
          systemPromptPath,
          agentsPath,
        }),
        requiredServers: requiredServers(spec),
        async prepare({ agentId, epoch }) {
          const dir = await directory.createAgent(agentId)
          await writeAgentRecord(dir, {
            agent_id: agentId,
            session_id: record.sessionId,
            agent_type: record.agentType,
            epoch,
            worker: (await identityOf(process.pid)) ?? { pid: process.pid, start_time: '' },
          })
          const env = environmentOf(record, spec, agentId, token)
          const { secrets } = options
          const own = [{ name: 'DROVER_TOKEN', value: secretPartOf(token) }]
          // Of those whom it was accepted by; the pod finds the most by itself.
          const ofPrompt = record.takenOut.filter(({ value }) => secrets.text(value).includes(value))
          const known = ofSessions.get(record.sessionId) ?? []
          ofSessions.set(record.sessionId, [...known, ...[...own, ...ofPrompt].map(({ value }) => value)])
          secrets.learn(own)
          secrets.learnOfPrompt(ofPrompt)
          const { DROVER_TOKEN: _, ...others } = env
          secrets.learn(secretsOfVariables(others, secrets.isSecret))
          secrets.learn(mcp === null ? [] : secretsOfMcp(mcp.config, secrets.isSecret))
          const redaction = secrets.options()
          await writeRedaction(dir, redaction)
          return { dir, env, redactor: createRedactor(redaction) }
        },
      }
    },

    async leftSpool(sessionId, agentId) {
      const agents = await createSessionDirectory(options.dataDir, sessionId).agents()
      const dir = agents.find((path) => basename(path) === agentId)
      if (dir === undefined) return null
      await sweepLeftovers(dir)
      return join(dir, SPOOL_FILE)
    },

    release(sessionId) {
      for (const value of ofSessions.get(sessionId) ?? []) options.secrets.forget(value)
      ofSessions.delete(sessionId)
    },
  }
}

/** A pod in this process, with the fake CLI, real queues and a real guard. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { AgentSpec } from '../../src/config/agent-spec.ts'
import { loadConfig } from '../../src/config/load.ts'
import { agentSpecsSchema, toAgentSpec } from '../../src/config/spec-schema.ts'
import { systemClock } from '../../src/core/clock.ts'
import type { Envelope } from '../../src/core/envelope.ts'
import { createProducer, type Producer, type SpawnOptions } from '../../src/index.ts'
import { keysOf, type Keys } from '../../src/queue/keys.ts'
import { createLogger, type Logger } from '../../src/telemetry/logger.ts'
import { createSecretKeeper } from '../../src/telemetry/secret-keeper.ts'
import type { RehearsedModel } from '../../src/worker/launch.ts'
import { createPod, type Pod } from '../../src/worker/pod.ts'
import { FAKE_CLAUDE, fakePrompt, type FakeScript } from './fake-claude.ts'
import { createScratch } from './leaks.ts'
import { seedRedis } from './seed.ts'

export interface PodHouse {
  readonly redis: Redis
  readonly keys: Keys
  readonly producer: Producer
  readonly workspace: string
  /** Where the fake's witness writes. */
  readonly witness: string
  readonly dataDir: string
  startPod(env?: Readonly<Record<string, string>>): Promise<Pod>
  /** Spawns a session whose agent does what the script says. */
  spawn(script: FakeScript, options?: Partial<SpawnOptions>): Promise<string>
  /** All events of a session, once it has ended. */
  events(sessionId: string): Promise<Envelope[]>
  /** Ends everything and fails where something is left. */
  close(): Promise<void>
}

export const FIVE_TYPES = [
  'architect',
  'code_developer',
  'project_manager',
  'code_reviewer',
  'doc-keeper-haiku',
]

export interface HouseOptions {
  readonly redisUrl: string
  /** @default FIVE_TYPES */
  readonly types?: readonly string[]
  /** Members of the specs beside the required ones. */
  readonly spec?: Readonly<Record<string, unknown>>
  /** Members of single types' specs. */
  readonly specOf?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** The CLI, and what it talks to instead of an account. @default the fake one */
  readonly claude?: { readonly file: string; readonly rehearsal: RehearsedModel }
  /** Added to the environment of its pods, of which agents get what the allow-list names. */
  readonly environment?: Readonly<Record<string, string>>
  /** Of its pods. @default silent */
  readonly log?: Logger
}

/** Times at a hundredth of the real ones. */
const FAST = {
  // None is lost because the machine is slow.
  DROVER_LEASE_TTL_MS: '10000',
  DROVER_LEASE_RENEW_MS: '500',
  DROVER_LEASE_MARGIN_MS: '500',
  DROVER_HEARTBEAT_MS: '100',
  DROVER_RESTART_BACKOFF_MS: '50',
  DROVER_KILL_GRACE_MS: '300',
  // A program that is slow to leave is not ended.
  DROVER_END_GRACE_MS: '10000',
  DROVER_MIN_FREE_CPU_PERCENT: '0',
  DROVER_MIN_FREE_MEMORY_MB: '0',
}

export async function openHouse({
  redisUrl,
  types = FIVE_TYPES,
  spec = {},
  specOf = {},
  claude,
  environment: environmentOfPods = {},
  log = createLogger({ level: 'silent', name: 'test' }),
}: HouseOptions): Promise<PodHouse> {
  const scratch = await createScratch()
  const [workspace, witness, dataDir] = ['workspace', 'witness', 'data'].map((name) =>
    join(scratch.dir, name),
  ) as [string, string, string]
  for (const dir of [workspace, witness, dataDir]) await mkdir(dir)
  const namespace = `pod-${process.pid}-${Math.random().toString(36).slice(2, 8)}`
  const keys = keysOf(namespace)
  const redis = new Redis(redisUrl)
  await seedRedis(redis, keys)
  const producer = createProducer({ redisUrl, namespace })
  const specs = specsOf(types, spec, specOf)
  const pods: Pod[] = []

  return {
    redis,
    keys,
    producer,
    workspace,
    witness,
    dataDir,
    async startPod(env = {}) {
      const { config } = loadConfig({
        cwd: scratch.dir,
        env: {
          ...FAST,
          DROVER_NAMESPACE: namespace,
          DROVER_DATA_DIR: dataDir,
          DROVER_WORKSPACE_ROOTS: workspace,
          DROVER_POD_ID: `pod-${pods.length + 1}`,
          ...env,
        },
      })
      const environment = {
        ...scratch.env,
        PATH: process.env.PATH,
        HOME: scratch.dir,
        ANTHROPIC_API_KEY: 'none',
        DROVER_WITNESS_DIR: witness,
        ...environmentOfPods,
      }
      const pod = await createPod({
        config,
        specs,
        redisUrl,
        claude: claude?.file ?? FAKE_CLAUDE,
        rehearsal: claude?.rehearsal ?? null,
        environment,
        url: 'http://127.0.0.1:1',
        log,
        secrets: createSecretKeeper(config, environment),
        clock: systemClock,
      })
      pods.push(pod)
      return pod
    },
    async spawn(script, options = {}) {
      const spawned = await producer.spawn({
        agentType: 'architect',
        prompt: fakePrompt(script),
        workspaceDir: workspace,
        ...options,
      })
      return spawned.sessionId
    },
    async events(sessionId) {
      const events: Envelope[] = []
      for await (const event of producer.events(sessionId)) events.push(event)
      return events
    },
    async close() {
      await Promise.all(pods.map((pod) => pod.stop(0)))
      await producer.close()
      redis.disconnect()
      await scratch.check()
    },
  }
}

function specsOf(
  types: readonly string[],
  members: Readonly<Record<string, unknown>>,
  own: NonNullable<HouseOptions['specOf']>,
): Map<string, AgentSpec> {
  const written = {
    agent_types: Object.fromEntries(
      types.map((name) => [
        name,
        {
          description: name,
          model: 'opus',
          env: { PASS: ['DROVER_WITNESS_DIR', 'DROVER_TEST_MARK'] },
          ...members,
          ...own[name],
        },
      ]),
    ),
  }
  const parsed = agentSpecsSchema.parse(written)
  return new Map(
    Object.entries(parsed.agent_types).map(([name, spec]) => [name, toAgentSpec(name, spec, '/')]),
  )
}

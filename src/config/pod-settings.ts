/** The settings of whoever runs agents: lease, liveness, restarts, sessions, the worker. Part of `settings.ts`' table. */
import {
  DRAIN_GRACE_MS,
  END_GRACE_MS,
  HEALTH_PORT,
  HEARTBEAT_MS,
  HOST,
  IDLE_TIMEOUT_MS,
  KILL_GRACE_MS,
  LEASE_MARGIN_MS,
  LEASE_RENEW_MS,
  LEASE_TTL_MS,
  MAX_RESTARTS,
  MESSAGE_WAIT_MS,
  MIN_FREE_CPU_PERCENT,
  MIN_FREE_DISK_MB,
  MIN_FREE_MEMORY_MB,
  PERMISSION_WAIT_MS,
  REQUIRED_TIERS,
  RESTART_BACKOFF_MS,
  STALL_TIMEOUT_MS,
  STARTUP_TIMEOUT_MS,
  STREAM_HIGH_WATER,
  TOOL_TIMEOUT_MS,
  TRANSCRIPT_INTERVAL_MS,
  WORKSPACE_WAIT_MS,
} from './defaults.ts'
import { setting, choice, milliseconds, text, whole, yesOrNo } from './setting.ts'

export const POD_SETTINGS = {
  lease: {
    ttlMs: setting<number>({
      env: 'DROVER_LEASE_TTL_MS',
      ...milliseconds(500),
      fallback: () => LEASE_TTL_MS,
      description: 'How long a pod may run an agent type without renewing its lease.',
    }),
    renewMs: setting<number>({
      env: 'DROVER_LEASE_RENEW_MS',
      ...milliseconds(50),
      fallback: () => LEASE_RENEW_MS,
      description: 'How often a lease is renewed.',
    }),
    marginMs: setting<number>({
      env: 'DROVER_LEASE_MARGIN_MS',
      ...milliseconds(100),
      fallback: () => LEASE_MARGIN_MS,
      description: 'How long before the end of its lease an agent is killed.',
    }),
  },
  liveness: {
    heartbeatMs: setting<number>({
      env: 'DROVER_HEARTBEAT_MS',
      ...milliseconds(50),
      fallback: () => HEARTBEAT_MS,
      description: 'How often the processes of an agent are looked at.',
    }),
    stallTimeoutMs: setting<number>({
      env: 'DROVER_STALL_TIMEOUT_MS',
      ...milliseconds(100),
      fallback: () => STALL_TIMEOUT_MS,
      description: "Without a sign of life for so long an agent is stalled; a spec's own value wins.",
    }),
    idleTimeoutMs: setting<number>({
      env: 'DROVER_IDLE_TIMEOUT_MS',
      ...milliseconds(100),
      fallback: () => IDLE_TIMEOUT_MS,
      description:
        "With neither output nor CPU use for so long an agent is stalled; a spec's own value wins.",
    }),
    toolTimeoutMs: setting<number>({
      env: 'DROVER_TOOL_TIMEOUT_MS',
      ...milliseconds(100),
      fallback: () => TOOL_TIMEOUT_MS,
      description:
        'A tool call that ran and printed its line every 30 s is stalled when nothing was printed for so long.',
    }),
  },
  guard: {
    requireTier: setting<(typeof REQUIRED_TIERS)[number]>({
      env: 'DROVER_GUARD_REQUIRE_TIER',
      ...choice(REQUIRED_TIERS),
      fallback: () => 'none',
      description:
        'Weakest way to hold the processes of an agent together that a pod works with; it takes the strongest that its host can do.',
    }),
  },
  restart: {
    backoffMs: setting<number>({
      env: 'DROVER_RESTART_BACKOFF_MS',
      ...milliseconds(0),
      fallback: () => RESTART_BACKOFF_MS,
      description: 'Wait before the first restart of a session; doubled each time.',
    }),
    maxRestarts: setting<number>({
      env: 'DROVER_MAX_RESTARTS',
      ...whole(0, 100),
      fallback: () => MAX_RESTARTS,
      description: "Restarts of one session; a spec's own value wins.",
    }),
  },
  session: {
    startupTimeoutMs: setting<number>({
      env: 'DROVER_STARTUP_TIMEOUT_MS',
      ...milliseconds(100),
      fallback: () => STARTUP_TIMEOUT_MS,
      description: "How long an agent may take to confirm its start; a spec's own value wins.",
    }),
    endGraceMs: setting<number>({
      env: 'DROVER_END_GRACE_MS',
      ...milliseconds(0),
      fallback: () => END_GRACE_MS,
      description: 'How long an agent may stay after its last result before it is ended; the result stands.',
    }),
    killGraceMs: setting<number>({
      env: 'DROVER_KILL_GRACE_MS',
      ...milliseconds(0),
      fallback: () => KILL_GRACE_MS,
      description: 'Time between SIGTERM and SIGKILL; 0 kills at once.',
    }),
    permissionWaitMs: setting<number>({
      env: 'DROVER_PERMISSION_WAIT_MS',
      ...milliseconds(0),
      fallback: () => PERMISSION_WAIT_MS,
      description:
        "How long the agent's question whether it may use a tool waits for a person before it is denied; a spec's own value wins.",
    }),
    messageWaitMs: setting<number>({
      env: 'DROVER_MESSAGE_WAIT_MS',
      ...milliseconds(0),
      fallback: () => MESSAGE_WAIT_MS,
      description: 'How long a session whose turn was interrupted waits for a message before it ends.',
    }),
    transcriptIntervalMs: setting<number>({
      env: 'DROVER_TRANSCRIPT_INTERVAL_MS',
      ...milliseconds(50),
      fallback: () => TRANSCRIPT_INTERVAL_MS,
      description:
        "How often a running agent's conversation is copied to Redis when it has grown, so that another pod can go on with it.",
    }),
  },
  recorder: {
    streamHighWater: setting<number>({
      env: 'DROVER_STREAM_HIGH_WATER',
      ...whole(100, 100_000_000),
      fallback: () => STREAM_HIGH_WATER,
      description:
        'So many events that nobody has recorded may wait in Redis before pods send what agents print slowly; at half of it they send at full speed again.',
    }),
  },
  worker: {
    drainGraceMs: setting<number>({
      env: 'DROVER_DRAIN_GRACE_MS',
      ...milliseconds(0),
      fallback: () => DRAIN_GRACE_MS,
      description:
        'How long a worker that was told to stop lets its agents finish before it hands them over.',
    }),
    workspaceWaitMs: setting<number>({
      env: 'DROVER_WORKSPACE_WAIT_MS',
      ...milliseconds(0),
      fallback: () => WORKSPACE_WAIT_MS,
      description:
        'How long a session whose workspace no pod has waits for the pod that had it, before it fails (`workspace_lost`).',
    }),
    minFreeMemoryMb: setting<number>({
      env: 'DROVER_MIN_FREE_MEMORY_MB',
      ...whole(0, 1_000_000_000, 'megabytes'),
      fallback: () => MIN_FREE_MEMORY_MB,
      description: 'Memory that must be free before an agent is started; 0 switches the check off.',
    }),
    minFreeCpuPercent: setting<number>({
      env: 'DROVER_MIN_FREE_CPU_PERCENT',
      ...whole(0, 100, 'per cent'),
      fallback: () => MIN_FREE_CPU_PERCENT,
      description: 'CPU that must be free before an agent is started; 0 switches the check off.',
    }),
    minFreeDiskMb: setting<number>({
      env: 'DROVER_MIN_FREE_DISK_MB',
      ...whole(0, 1_000_000_000, 'megabytes'),
      fallback: () => MIN_FREE_DISK_MB,
      description:
        'Disk that must be free in the data directory before an agent is started, or 5 % of a file system where that is less; an agent that fails where less is free costs no try. 0 switches both off.',
    }),
    maxSessions: setting<number | null>({
      env: 'DROVER_MAX_SESSIONS',
      flag: '--max-sessions',
      ...whole(0, 10_000),
      fallback: () => null,
      fallbackText: 'number of agent types',
      description: 'Sessions that one worker runs at once; 0 switches the limit off.',
    }),
    healthHost: setting<string>({
      env: 'DROVER_HEALTH_HOST',
      ...text(/^[A-Za-z0-9.:_-]{1,253}$/, 'a host name or an IP address'),
      fallback: () => HOST,
      description:
        "Address of the worker's own `/healthz`, `/readyz` and `/metrics`; in Kubernetes `0.0.0.0`.",
    }),
    healthPort: setting<number>({
      env: 'DROVER_HEALTH_PORT',
      ...whole(0, 65_535),
      fallback: () => HEALTH_PORT,
      description: "Port of the worker's own `/healthz`, `/readyz` and `/metrics`; 0 switches them off.",
    }),
    keepSpools: setting<boolean>({
      env: 'DROVER_KEEP_SPOOLS',
      ...yesOrNo,
      fallback: () => false,
      description: 'Keeps the files with what the agents printed after they were recorded.',
    }),
  },
} as const

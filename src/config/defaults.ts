/** The value of each setting that nobody sets, with its unit and its reason. */

/** A namespace for those who need only one. */
export const NAMESPACE = 'default'
/** Beside the project that is worked on, so that two checkouts do not share a ledger. */
export const DATA_DIR = 'data'
/** Nobody but this machine: an agent that can be started from the network is code that can be run from it. */
export const HOST = '127.0.0.1'
/** A port that no well-known service uses. */
export const PORT = 4680
/** Milliseconds. A Redis failover or a long pause fits in; a dead pod's agent types are free after it. */
export const LEASE_TTL_MS = 30_000
/** Milliseconds: a quarter of the lease, so that three renewals may be lost before it runs out. */
export const LEASE_RENEW_MS = 7500
/** Milliseconds before the end of the lease at which its agent must be dead: room for clocks, the guard's tick and SIGKILL. */
export const LEASE_MARGIN_MS = 5000
/** Milliseconds: twelve samples within the stall timeout, and too few to be felt. */
export const HEARTBEAT_MS = 5000
/** Milliseconds: one minute, as the first source document asks. */
export const STALL_TIMEOUT_MS = 60_000
/** Milliseconds: 30 minutes. The CLI itself was seen waiting 6 minutes for one answer, and then trying again. */
export const IDLE_TIMEOUT_MS = 1_800_000
/** Milliseconds: three times the 30 s in which the CLI prints a line for each tool call that runs. */
export const TOOL_TIMEOUT_MS = 90_000
/** Milliseconds, doubled each time: 2, 4 and 8 seconds, as the first source document asks. */
export const RESTART_BACKOFF_MS = 2000
/** Restarts: three, as the first source document asks. */
export const MAX_RESTARTS = 3
/** Milliseconds: as the first source document asks; eight CLIs at once on two cores confirmed within 4.2 seconds. */
export const STARTUP_TIMEOUT_MS = 10_000
/** Milliseconds: a CLI that has nothing to do ends within one second; some were seen never to. */
export const END_GRACE_MS = 15_000
/** Milliseconds between SIGTERM and SIGKILL: enough for the CLI to write its transcript and stop its MCP servers. */
export const KILL_GRACE_MS = 10_000
/** Milliseconds: ten minutes, for a person who was called; then the agent goes on without that tool call. */
export const PERMISSION_WAIT_MS = 600_000
/** Milliseconds: ten minutes, for whoever stopped a turn to say what they want instead. */
export const MESSAGE_WAIT_MS = 600_000
/** Milliseconds: what another pod may miss of a conversation when one is lost; a copy of 130 kB, packed, takes 15 ms. */
export const TRANSCRIPT_INTERVAL_MS = 5000
/** Milliseconds: a machine that is started again is back by then. */
export const WORKSPACE_WAIT_MS = 600_000
/** Milliseconds: what Kubernetes gives a pod between SIGTERM and SIGKILL. */
export const DRAIN_GRACE_MS = 30_000
/** Megabytes that must be free to start an agent, as the first source document asks; one CLI takes 200 MB. */
export const MIN_FREE_MEMORY_MB = 500
/** Per cent of the CPU that must be free to start an agent, as the first source document asks. */
export const MIN_FREE_CPU_PERCENT = 20
/** Megabytes of disk: what an agent prints, its temporary files, and room to see it coming. */
export const MIN_FREE_DISK_MB = 100

/** Entries of the stream, 100 to 400 MB of Redis' memory; a recorder that comes back is through them in ten seconds. */
export const STREAM_HIGH_WATER = 200_000

/** An orchestrator, its workers, their helpers: a tree that goes deeper is rather one that runs away. */
export const LINEAGE_MAX_DEPTH = 3
/** Sessions that one session may ask for: more at once than there are agent types to run them. */
export const LINEAGE_MAX_CHILDREN = 10

/** Characters: some 5,000 tokens of a conversation that reads it. The CLI itself keeps 25,000 tokens of a tool's answer. */
export const MCP_MAX_RESULT_CHARS = 20_000

/** Off: whoever has an orchestrator that asks for it chooses the port, and several pods of one machine have one each. */
export const HEALTH_PORT = 0

/** Days; 0, off: what an audit may ask for is deleted only where somebody has decided so. */
export const LEDGER_RETENTION_DAYS = 0
/** Megabytes; 0, off, for the same reason. */
export const LEDGER_MAX_SIZE_MB = 0
/** Backups; 0, off: on the disk of the ledger they take its size each, and do not survive that disk. */
export const LEDGER_BACKUP_KEEP = 0

/** Starts, ends and what needs a look; not each step. */
export const LOG_LEVEL = 'info'
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

/** Weakest first; what each can do is in guard/tier.ts. */
export const REQUIRED_TIERS = ['none', 'group', 'cgroup', 'pid_namespace'] as const

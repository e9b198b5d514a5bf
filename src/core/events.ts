/** The payloads of Drover's own events: what each says, for whoever writes or projects them. */
export type {
  AgentClosed,
  AgentExited,
  AgentHealth,
  AgentInterrupted,
  AgentKilled,
  AgentSpawned,
  AgentStalled,
  AgentStarted,
} from './agent-payloads.ts'
export type {
  SessionAccepted,
  SessionCancelRequested,
  SessionClaimed,
  SessionEnded,
  SessionInterruptRequested,
  SessionRestarting,
  SessionResumed,
  SessionWaitingInput,
} from './session-payloads.ts'
export type { MessageAnswered, MessageDelivered, MessageSent } from './talk-payloads.ts'
export type {
  RoadmapPriority,
  TaskBlocked,
  TaskEnded,
  TaskPending,
  TaskSpawned,
  WorktreeChanged,
} from './task-payloads.ts'

/** Longest `output` of an answer; the rest is in the session's events. */
export const OUTPUT_LIMIT = 1_000_000

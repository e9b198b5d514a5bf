/** What each of Drover's own events says, by its type. `claude.*` events say what the CLI printed. */
import { z } from 'zod'
import {
  agentClosedSchema,
  agentExitedSchema,
  agentHealthSchema,
  agentInterruptedSchema,
  agentKilledSchema,
  agentSpawnedSchema,
  agentStalledSchema,
  agentStartedSchema,
} from './agent-payloads.ts'
import type { OwnEventType } from './envelope.ts'
import { mailAnsweredSchema, mailDeliveredSchema, mailSentSchema } from './mail-payloads.ts'
import {
  sessionAcceptedSchema,
  sessionCancelRequestedSchema,
  sessionClaimedSchema,
  sessionEndedSchema,
  sessionInterruptRequestedSchema,
  sessionPausedSchema,
  sessionRestartingSchema,
  sessionResumedSchema,
  sessionWaitingInputSchema,
} from './session-payloads.ts'
import { messageAnsweredSchema, messageDeliveredSchema, messageSentSchema } from './talk-payloads.ts'
import {
  roadmapPrioritySchema,
  taskBlockedSchema,
  taskEndedSchema,
  taskPendingSchema,
  taskSpawnedSchema,
  worktreeChangedSchema,
} from './task-payloads.ts'

/** The schema of each of Drover's own payloads, by the type of its event. */
export const EVENT_PAYLOADS = {
  'drover.session.accepted': sessionAcceptedSchema,
  'drover.session.claimed': sessionClaimedSchema,
  'drover.session.restarting': sessionRestartingSchema,
  'drover.session.paused_limit': sessionPausedSchema,
  'drover.session.waiting_input': sessionWaitingInputSchema,
  'drover.session.resumed': sessionResumedSchema,
  'drover.session.interrupt_requested': sessionInterruptRequestedSchema,
  'drover.session.cancel_requested': sessionCancelRequestedSchema,
  'drover.session.ended': sessionEndedSchema,
  'drover.agent.spawned': agentSpawnedSchema,
  'drover.agent.started': agentStartedSchema,
  'drover.agent.interrupted': agentInterruptedSchema,
  'drover.agent.health': agentHealthSchema,
  'drover.agent.stalled': agentStalledSchema,
  'drover.agent.killed': agentKilledSchema,
  'drover.agent.exited': agentExitedSchema,
  'drover.agent.closed': agentClosedSchema,
  'drover.task.pending': taskPendingSchema,
  'drover.task.spawned': taskSpawnedSchema,
  'drover.task.blocked': taskBlockedSchema,
  'drover.task.ended': taskEndedSchema,
  'drover.roadmap.priority': roadmapPrioritySchema,
  // Mail first: it has a `channel`.
  'drover.message.sent': z.union([mailSentSchema, messageSentSchema]),
  'drover.message.delivered': z.union([mailDeliveredSchema, messageDeliveredSchema]),
  'drover.message.answered': z.union([mailAnsweredSchema, messageAnsweredSchema]),
  'drover.worktree.merged': worktreeChangedSchema,
  'drover.worktree.removed': worktreeChangedSchema,
} as const satisfies Record<OwnEventType, z.ZodType>

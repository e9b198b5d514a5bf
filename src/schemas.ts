/**
 * What Drover takes, answers and publishes, as zod schemas: `import { sessionViewSchema } from 'drover/schemas'`. The HTTP API is
 * checked with those of requests, its tests and its OpenAPI document are made of all of them. Answers may get more
 * members; schemas of answers leave out what they do not know.
 */
export * from './core/agent-view.ts'
export * from './core/answer.ts'
export * from './core/cost.ts'
export * from './core/documents.ts'
export * from './core/agent-payloads.ts'
export * from './core/event-payloads.ts'
export * from './core/event-schema.ts'
export * from './core/failure-schema.ts'
export * from './core/follow-up.ts'
export * from './core/mail-payloads.ts'
export * from './core/mail.ts'
export * from './core/pod-row.ts'
export {
  killBodySchema,
  restartBodySchema,
  restartFailedBodySchema,
  spawnBodySchema,
  taskSchema,
  tasksFileSchema,
} from './core/request.ts'
export * from './core/session-payloads.ts'
export * from './core/session-view.ts'
export * from './core/talk-payloads.ts'
export * from './core/task-payloads.ts'
export * from './core/task-view.ts'
export * from './core/type-view.ts'

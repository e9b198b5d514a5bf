/** Drover as a library: what other services import. */
export {
  createProducer,
  type AnswerPermissionOptions,
  type KillSessionOptions,
  type Producer,
  type ProducerOptions,
  type RedactionOptions,
  type RestartSessionOptions,
  type SendMessageOptions,
  type Spawned,
  type SpawnOptions,
} from './producer/producer.ts'
export {
  createClient,
  type Client,
  type ClientOptions,
  type ClientSpawnOptions,
} from './producer/create-client.ts'
export type { Camel, DeepCamel } from './producer/camel.ts'
export { DroverError, isDroverError, type ErrorCode, type FailureAnswer, type Issue } from './core/errors.ts'
export type {
  AcceptedAnswer,
  CompletedAnswer,
  KillAnswer,
  RestartAnswer,
  SpawnAnswer,
  StartedAnswer,
} from './core/answer.ts'
export type { InterruptAnswer, PermissionAnswer, SendAnswer } from './core/follow-up.ts'
export type { Actor, Envelope, EventHeader, Usage } from './core/envelope.ts'
export type { EndState, FailureReason, SessionState, TaskState } from './core/state.ts'

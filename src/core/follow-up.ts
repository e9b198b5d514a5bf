/** What is said to a running session: messages, interrupts, answers to its questions. One truth for every door. */
import { z } from 'zod'
import { durabilitySchema } from './answer.ts'
import { PROMPT_LIMIT_BYTES } from './request.ts'
import { SESSION_STATES } from './state.ts'

/**
 * When a message is taken up: `next` with the running turn's next tool result (else as a turn of its own), `later` as a
 * turn of its own, `now` after ending the running turn as soon as its tool has.
 */
export const MESSAGE_PRIORITIES = ['now', 'next', 'later'] as const
export type MessagePriority = (typeof MESSAGE_PRIORITIES)[number]

/** Messages that one session may have waiting, and their bytes: what one careless sender can put into Redis. */
export const MOST_WAITING_MESSAGES = 100
export const WAITING_BYTES_LIMIT = 32 * 1024 * 1024

const BEHAVIORS = ['allow', 'deny'] as const

/** Characters of what a person answers a question with. */
const ANSWER_LIMIT = 10_000
const UPDATED_INPUT_LIMIT = 1_000_000

/** The body of `POST /sessions/:id/messages`. */
export const sendBodySchema = z.strictObject({
  text: z
    .string({ error: 'is required, as text' })
    .refine((text) => text.trim().length > 0, 'must not be empty')
    .refine(
      (text) => Buffer.byteLength(text) <= PROMPT_LIMIT_BYTES,
      'must be at most 10 MB (the CLI takes no more); put long material into a file of the workspace',
    ),
  priority: z
    .enum(MESSAGE_PRIORITIES, { error: `must be one of ${MESSAGE_PRIORITIES.join(', ')}` })
    .nullish(),
  /** The same id is the same message, however often it is sent. */
  message_id: z
    .string()
    .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'must be a UUID in lower case')
    .nullish(),
})

/** The body of `POST /sessions/:id/interrupt`: nothing. */
export const interruptBodySchema = z.strictObject({})

/** The body of `POST /sessions/:id/permissions`. */
export const permissionBodySchema = z
  .strictObject({
    /** The question that is answered; where it is left out, the only one that is open. */
    request_id: z.string().min(1, 'must not be empty').max(200, 'must be at most 200 characters').nullish(),
    behavior: z.enum(BEHAVIORS, { error: 'must be allow or deny' }),
    /** What the agent is told with a denial. */
    message: z
      .string()
      .refine((text) => text.trim().length > 0, 'must not be empty')
      .refine((text) => text.length <= ANSWER_LIMIT, `must be at most ${ANSWER_LIMIT} characters`)
      .nullish(),
    /** Runs the tool with this input instead of the one that was asked for. */
    updated_input: z
      .record(z.string(), z.unknown(), { error: 'must be an object' })
      .refine(
        (input) => JSON.stringify(input).length <= UPDATED_INPUT_LIMIT,
        `must be at most ${UPDATED_INPUT_LIMIT} characters of JSON`,
      )
      .nullish(),
    /** Ends the turn with a denial. */
    interrupt: z.boolean({ error: 'must be true or false' }).nullish(),
  })
  .superRefine(({ behavior, message, updated_input, interrupt }, context) => {
    const only = (path: string, what: string): void =>
      context.addIssue({ code: 'custom', path: [path], message: `goes with "${what}" only` })
    if (behavior === 'deny' && updated_input != null) only('updated_input', 'allow')
    if (behavior === 'allow' && message != null) only('message', 'deny')
    if (behavior === 'allow' && interrupt === true) only('interrupt', 'deny')
  })
export type PermissionBody = z.input<typeof permissionBodySchema>

const status = z.enum(SESSION_STATES)

/** `POST /sessions/:id/messages` */
export const sendAnswerSchema = z
  .object({
    success: z.literal(true),
    session_id: z.string(),
    message_id: z.string(),
    status: status.describe('Of the session, as it was when the message was taken.'),
    agent_id: z
      .string()
      .nullable()
      .describe("The agent that runs, and gets it; null: the session's next one does."),
    repeated: z.boolean().describe('The same message had been taken before.'),
    durability: durabilitySchema,
    message: z.string(),
  })
  .meta({ id: 'SendAnswer' })
export type SendAnswer = Readonly<z.infer<typeof sendAnswerSchema>>

/** `POST /sessions/:id/interrupt` */
export const interruptAnswerSchema = z
  .object({
    success: z.literal(true),
    action: z.literal('interrupt'),
    session_id: z.string(),
    agent_id: z.string(),
    task_id: z.string().nullable(),
    status,
    acknowledged: z
      .boolean()
      .describe(
        'The agent has confirmed it. False: it is recorded, and the pod has not said yet that it was done.',
      ),
    message: z.string(),
  })
  .meta({ id: 'InterruptAnswer' })
export type InterruptAnswer = Readonly<z.infer<typeof interruptAnswerSchema>>

/** `POST /sessions/:id/permissions` */
export const permissionAnswerSchema = z
  .object({
    success: z.literal(true),
    action: z.literal('answer'),
    session_id: z.string(),
    agent_id: z.string().nullable(),
    request_id: z.string(),
    tool_name: z.string(),
    behavior: z.enum(BEHAVIORS),
    repeated: z.boolean().describe('The same answer had been given before.'),
    message: z.string(),
  })
  .meta({ id: 'PermissionAnswer' })
export type PermissionAnswer = Readonly<z.infer<typeof permissionAnswerSchema>>

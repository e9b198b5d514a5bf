/** What an agent is told, by the conversation that it begins with. */

/**
 * `new`: the session's first agent. `resumed`: goes on with the session's own conversation. `forked`: goes on with a
 * copy of the conversation of the ended session that this one is a restart of. `lost`: others were at work before it,
 * and their conversation is gone.
 */
export type Conversation = 'new' | 'resumed' | 'forked' | 'lost'

/** How the agent before ended, as `previous_end` of the session's hash has it; others are told in general words. */
const PREVIOUS_END: Readonly<Record<string, string>> = {
  hand_over: 'it was moved to another machine',
  no_room: 'the disk of its machine was full',
  worker_lost: 'the machine that it ran on was lost',
  crashed: 'it crashed',
  no_result: 'it ended without a result',
  spawn_failed: 'it could not be started',
  startup_timeout: 'it did not start in time',
  stalled: 'it no longer moved and was ended',
  usage_limit: 'a usage limit was reached, which is over now',
  api_error: "the model's API failed",
  agent_error: 'it stopped in the middle of its turn',
  restart: 'somebody asked for a restart',
  message: 'it had finished, and then a message came for you, which follows',
}

/** Mark a previous end that was no failure of the agent. */
export const HAND_OVER_END = 'hand_over'
export const NO_ROOM_END = 'no_room'
export const RESTART_END = 'restart'
/** It was done, and then a message came: what the next agent is told first is that message. */
export const MESSAGE_END = 'message'

export interface PromptInput {
  readonly conversation: Conversation
  /** What the session was asked to do. */
  readonly prompt: string
  readonly previousEnd: string | null
  /** Restarts so far. */
  readonly restarts: number
}

/**
 * The session's own prompt for its first agent. A later one is told what happened, that the outcome of an open tool
 * call is unknown, and again what the task is: a conversation that was cut off early may not even have that.
 */
export function agentPrompt({ conversation, prompt, previousEnd, restarts }: PromptInput): string {
  if (conversation === 'new') return prompt
  return [whatHappened(conversation, previousEnd, restarts), ...OUTLOOK[conversation], '', prompt].join('\n')
}

function whatHappened(conversation: Conversation, previousEnd: string | null, restarts: number): string {
  if (conversation === 'forked')
    return 'An earlier session of this task ended before it was done; this one goes on.'
  const known = previousEnd === null ? undefined : PREVIOUS_END[previousEnd]
  const why = known === undefined ? '' : `: ${known}`
  const count = restarts > 0 ? ` (restart ${restarts})` : ''
  return `Your previous process ended before the task was done${why}${count}.`
}

const OUTLOOK: Readonly<Record<Exclude<Conversation, 'new'>, readonly string[]>> = {
  resumed: [
    'If a tool call was open, its outcome is unknown: look at the files before you repeat it.',
    'Go on where you left off and finish the task. It was:',
  ],
  forked: [
    'If a tool call was open, its outcome is unknown: look at the files before you repeat it.',
    'Go on where you left off and finish the task. It was:',
  ],
  lost: [
    'The earlier conversation is gone, but its work may be in the files already, done or half done.',
    'Look at what is there before you change anything, and then finish the task. It is:',
  ],
}

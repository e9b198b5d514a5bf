/** What an agent is told first, as it gets it and as that is recorded. */
import { agentPrompt, type Conversation } from '../core/agent-prompt.ts'
import { isPromptLost } from '../core/redacted.ts'
import type { SessionRecord } from '../queue/session-store.ts'
import type { WaitingMessage } from '../queue/talk.ts'

export interface FirstWords {
  /** As the agent gets it. */
  readonly prompt: string
  /** As it is recorded. */
  readonly recordedPrompt: string
  /** It should have been given otherwise, and Redis has lost how: the agent gets it as it is recorded. */
  readonly isRedacted: boolean
}

/** @param message that the agent is told first, instead of what the session was asked to do; null: none */
export function firstWords(
  record: SessionRecord,
  conversation: Conversation,
  message: WaitingMessage | null,
): FirstWords {
  if (message !== null) {
    const { text, unredacted } = message
    return { prompt: unredacted ?? text, recordedPrompt: text, isRedacted: isLost(message) }
  }
  const { request, redacted, unredactedPrompt } = record
  const withPrompt = (prompt: string): string => agentPrompt({ ...record, conversation, prompt })
  return {
    prompt: withPrompt(unredactedPrompt ?? request.prompt),
    recordedPrompt: withPrompt(request.prompt),
    isRedacted: isPromptLost(redacted, unredactedPrompt),
  }
}

/** Whether a message had something taken out of it and is not there any more as it was given. */
export function isLost({ redacted, unredacted }: WaitingMessage): boolean {
  return redacted !== undefined && unredacted === null
}

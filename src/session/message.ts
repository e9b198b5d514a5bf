/** Lines for the CLI's standard input (`--input-format stream-json`), without their line feed. */

import type { MessageAnswered } from '../core/events.ts'
import type { MessagePriority } from '../core/follow-up.ts'

/**
 * A user message. The uuid comes back in `command_lifecycle` lines and on what answers it. During a tool call the
 * CLI steers it into the running turn; otherwise it begins a turn of its own. `next` is the CLI's own way.
 */
export function userMessage(text: string, uuid: string, priority: MessagePriority = 'next'): string {
  return oneLine({
    type: 'user',
    message: { role: 'user', content: text },
    uuid,
    ...(priority === 'next' ? {} : { priority }),
  })
}

/** What a denial says that a person gave no words with: the CLI takes none without. */
const DENIED = 'A person denied this tool call.'

/**
 * The answer to a `can_use_tool` request. Allowed without another input, the call runs as it was asked for: what
 * Drover knows of that is without its secrets, and must not be given back. An unknown request id is ignored.
 */
export function permissionAnswer(
  answer: Pick<MessageAnswered, 'request_id' | 'behavior' | 'message' | 'updated_input' | 'interrupt'>,
): string {
  const response =
    answer.behavior === 'allow'
      ? {
          behavior: 'allow',
          ...(answer.updated_input === null ? {} : { updatedInput: answer.updated_input }),
        }
      : {
          behavior: 'deny',
          message: answer.message ?? DENIED,
          ...(answer.interrupt ? { interrupt: true } : {}),
        }
  return oneLine({
    type: 'control_response',
    response: { subtype: 'success', request_id: answer.request_id, response },
  })
}

/** Ends the running turn; the process stays usable, unlike after SIGINT. Answered by a `control_response` line. */
export function interruptRequest(requestId: string): string {
  return JSON.stringify({ type: 'control_request', request_id: requestId, request: { subtype: 'interrupt' } })
}

/** U+2028 and U+2029 may stand in JSON as they are, and end a line for Node's `readline` and others. */
function oneLine(message: object): string {
  return JSON.stringify(message).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')
}

/** Lines for the CLI's standard input (`--input-format stream-json`), without their line feed. */

/**
 * A user message. The uuid comes back in `command_lifecycle` lines and on what answers it. During a tool call the
 * CLI steers it into the running turn; otherwise it begins a turn of its own.
 */
export function userMessage(text: string, uuid: string): string {
  return JSON.stringify({ type: 'user', message: { role: 'user', content: text }, uuid })
}

/** Ends the running turn; the process stays usable, unlike after SIGINT. Answered by a `control_response` line. */
export function interruptRequest(requestId: string): string {
  return JSON.stringify({ type: 'control_request', request_id: requestId, request: { subtype: 'interrupt' } })
}

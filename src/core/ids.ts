/** Names and ids: what is a valid one, and how the derived ones are made. */
import { hash } from 'node:crypto'
import { v4, v5, validate } from 'uuid'

export const AGENT_TYPE_PATTERN = /^[a-z][a-z0-9_-]{0,63}$/
/** All digits are refused: BullMQ takes an integer job id for one of its own. */
export const TASK_ID_PATTERN = /^(?!\d+$)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/
export const NAMESPACE_PATTERN = /^[a-z0-9-]{1,32}$/
/** Free text of the caller, but printable and bounded: it is shown in lists and headers. */
export const ORCHESTRATOR_ID_PATTERN = /^[\x21-\x7e]{1,128}$/
export const POD_ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/** A session's id as Drover writes it: a UUID in lower case. */
export const SESSION_ID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Namespace UUID of all names that Drover derives (a random v4, fixed for ever). */
const DROVER_UUID_NAMESPACE = '3f6c2f0e-6f0b-4d0a-9a51-0d9d0b3a7c55'

/** A fresh session id. */
export function newSessionId(): string {
  return v4()
}

export function isSessionId(value: string): boolean {
  return validate(value)
}

/** The session id of an idempotency key: the same key in the same namespace is the same session, everywhere. */
export function sessionIdOfKey(namespace: string, key: string): string {
  return v5(`${namespace}\nkey\n${key}`, DROVER_UUID_NAMESPACE)
}

/** The session id of the nth run of a task (0 = first), so that whoever dispatches it makes the same session. */
export function sessionIdOfTask(namespace: string, taskId: string, run: number): string {
  return v5(`${namespace}\ntask\n${taskId}\n${run}`, DROVER_UUID_NAMESPACE)
}

/** The session that an ended one goes on as: it has one restart. */
export function sessionIdOfRestart(namespace: string, sessionId: string): string {
  return v5(`${namespace}\nrestart\n${sessionId}`, DROVER_UUID_NAMESPACE)
}

/** The message by which a broadcast reaches a session: it has one of each. */
export function messageIdOfBroadcast(broadcastId: string, sessionId: string): string {
  return v5(`broadcast\n${broadcastId}\n${sessionId}`, DROVER_UUID_NAMESPACE)
}

/** The message of an idempotency key: the same key to the same session is the same message. */
export function messageIdOfKey(sessionId: string, key: string): string {
  return v5(`${sessionId}\nmessage\n${key}`, DROVER_UUID_NAMESPACE)
}

/** `code_developer`, 2025-10-26 → `code-developer-20251026-`; the script appends the counter. */
export function agentIdPrefix(agentType: string, date: Date): string {
  return `${agentType.replaceAll('_', '-')}-${date.toISOString().slice(0, 10).replaceAll('-', '')}-`
}

export function newId(): string {
  return v4()
}

export function sha256(text: string | Uint8Array): string {
  return hash('sha256', text)
}

/** A stable digest of a JSON value, whatever the order of its keys: notices a changed body under the same key. */
export function digestOf(value: unknown): string {
  return sha256(canonical(value))
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`)
    return `{${members.join(',')}}`
  }
  return JSON.stringify(value) ?? 'null'
}

/** The nearest known name within two edits, for "did you mean". */
export function nearest(name: string, known: readonly string[]): string | null {
  let best: string | null = null
  let bestDistance = 3
  for (const candidate of known) {
    const distance = editDistance(name, candidate, bestDistance)
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  return best
}

/** A sentence part for an unknown name: ` Did you mean "architect"?`, or the list where none is near. */
export function didYouMean(name: string, known: readonly string[]): string {
  const near = nearest(name, known)
  if (near !== null) return ` Did you mean "${near}"?`
  return known.length > 0 && known.length <= 20 ? ` Known: ${known.join(', ')}.` : ''
}

function editDistance(a: string, b: string, bound: number): number {
  if (Math.abs(a.length - b.length) >= bound) return bound
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, substitution))
    }
    previous = current
  }
  return previous[b.length] ?? bound
}

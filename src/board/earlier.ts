/** What the ledger knows of a session's acceptance: a repeat is answered from it, also long after Redis forgot. */
import { parseEvent } from '../core/envelope.ts'
import type { SessionAccepted } from '../core/events.ts'
import type { LedgerReader } from '../ledger/ledger.ts'

/** The first event of a recorded session; null where the session is not recorded. */
export function earlierAcceptance(ledger: LedgerReader, sessionId: string): SessionAccepted | null {
  const [text] = ledger.events.page(sessionId, 0, 1).events
  if (text === undefined) return null
  const first = parseEvent(text)
  return first.type === 'drover.session.accepted' ? (first.payload as SessionAccepted) : null
}

/** Whom a message is for: `to` as a session, an agent type, the parent or the operator. */
import { invalidRequest, isDroverError } from '../core/errors.ts'
import { SESSION_ID_PATTERN } from '../core/ids.ts'
import { BROADCAST_LIMIT, TO_OPERATOR, TO_PARENT } from '../core/mail.ts'
import type { MailSent } from '../core/mail-events.ts'
import { isEnded, isLive, SESSION_STATES } from '../core/state.ts'
import type { LedgerReader } from '../ledger/ledger.ts'
import type { AgentTypeRegistry } from '../queue/agent-types.ts'
import type { MailReader } from '../queue/mail.ts'
import type { SessionStore } from '../queue/session-store.ts'
import { sessionNotFound } from './known.ts'
import { sessionEnded } from './mail-refusals.ts'
import type { ViaRedis } from './via-redis.ts'

export interface AddressParts {
  readonly ledger: LedgerReader
  readonly store: Pick<SessionStore, 'read'>
  readonly types: Pick<AgentTypeRegistry, 'require'>
  readonly viaRedis: ViaRedis
}

/** A session that sends, reads or takes. */
export interface Sender extends MailReader {
  /** Its parent. */
  readonly createdBy: string | null
}

/** `to_session` null: an agent type. Both null: the operator. */
export type Recipient = Pick<MailSent, 'to_session' | 'to_agent_type'>

export const OPERATOR: Recipient = { to_session: null, to_agent_type: null }

export interface Addresses {
  /** @throws DroverError `invalid_request` for what is no session of this Drover */
  sender(sessionId: string | null): Promise<Sender | null>
  /** @throws DroverError `invalid_request`, `session_not_found`, `session_ended`, `agent_type_not_found` */
  recipient(to: string, sender: Sender | null): Promise<Recipient>
  /** @throws DroverError `session_not_found`, `session_ended` */
  openSession(sessionId: string): Promise<Recipient>
  /**
   * The sessions that have an agent, as far as is recorded.
   *
   * @throws DroverError `invalid_request` for more than `BROADCAST_LIMIT`, `agent_type_not_found`
   */
  running(agentType: string | null, except: string | null): Promise<readonly string[]>
}

const LIVE_STATES = SESSION_STATES.filter(isLive).join(',')
const PAGE = 200

export function createAddresses({ ledger, store, types, viaRedis }: AddressParts): Addresses {
  /** As Redis has it, or the ledger; null: there is none. */
  async function known(sessionId: string): Promise<(Sender & { readonly ended: boolean }) | null> {
    const record = await viaRedis(store.read(sessionId))
    if (record !== null) {
      const { agentType, createdBy, state } = record
      return { sessionId, agentType, createdBy, ended: isEnded(state) }
    }
    const row = ledger.sessions.get(sessionId)
    if (row === null) return null
    return { sessionId, agentType: row.agent_type, createdBy: row.created_by, ended: isEnded(row.status) }
  }

  async function openSession(sessionId: string): Promise<Recipient> {
    const session = await known(sessionId)
    if (session === null) throw sessionNotFound(ledger, sessionId)
    if (session.ended) throw sessionEnded(sessionId)
    return { to_session: sessionId, to_agent_type: session.agentType }
  }

  return {
    openSession,

    async sender(sessionId) {
      if (sessionId === null) return null
      const session = await known(sessionId)
      if (session !== null) return session
      const message = `names ${sessionId}, which is no session of this Drover`
      throw invalidRequest([{ path: 'Drover-Session', message }])
    },

    async recipient(to, sender) {
      if (to === TO_OPERATOR) return OPERATOR
      if (to === TO_PARENT) {
        if (sender?.createdBy != null) return await openSession(sender.createdBy)
        throw noParent(sender)
      }
      if (SESSION_ID_PATTERN.test(to)) return await openSession(to)
      try {
        await viaRedis(types.require(to))
      } catch (error) {
        const isUnknown = isDroverError(error) && error.code === 'agent_type_not_found'
        const agent = isUnknown ? ledger.agents.get(to) : null
        if (agent === null) throw error
        return await openSession(agent.session_id)
      }
      return { to_session: null, to_agent_type: to }
    },

    async running(agentType, except) {
      if (agentType !== null) await viaRedis(types.require(agentType))
      const found: string[] = []
      for (let cursor: string | null | undefined; cursor !== null && found.length <= BROADCAST_LIMIT;) {
        const page = ledger.sessions.list({
          status: LIVE_STATES,
          limit: PAGE,
          ...(agentType === null ? {} : { agentType }),
          ...(cursor === undefined ? {} : { cursor }),
        })
        found.push(...page.rows.map((row) => row.session_id).filter((id) => id !== except))
        cursor = page.nextCursor
      }
      if (found.length <= BROADCAST_LIMIT) return found
      const message = `must be named: more than ${BROADCAST_LIMIT} sessions run`
      throw invalidRequest([{ path: 'agent_type', message }])
    },
  }
}

function noParent(sender: Sender | null): Error {
  const message =
    sender === null
      ? 'is the parent of the session that sends, and you are none: name a session or an agent type'
      : 'cannot be the parent: no session asked for yours. "operator" reaches the people who run this Drover'
  return invalidRequest([{ path: 'to', message }])
}

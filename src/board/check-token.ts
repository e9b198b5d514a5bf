/** Whose token is it? */
import { timingSafeEqual } from 'node:crypto'
import { sessionOfToken, tokenHash, type KnownToken } from '../core/token.ts'
import type { SessionToken } from '../queue/session-token.ts'
import type { Principal } from './principal.ts'

export interface TokenParts {
  /** Of the configuration. */
  readonly tokens: readonly KnownToken[]
  /** @throws DroverError `redis_unavailable` */
  readonly sessionToken: (sessionId: string) => Promise<SessionToken | null>
}

/** Resolves with whom a token is of; null for a text that is nobody's token, or no longer. */
export type CheckToken = (token: string) => Promise<Principal | null>

/** The time that a check takes says nothing about the tokens that are known. */
export function createCheckToken({ tokens, sessionToken }: TokenParts): CheckToken {
  const known = tokens.map((token) => ({ token, bytes: Buffer.from(token.hash, 'hex') }))
  return async (text) => {
    const hash = Buffer.from(tokenHash(text), 'hex')
    const sessionId = sessionOfToken(text)
    if (sessionId !== null) {
      const stored = await sessionToken(sessionId)
      const isIts = stored !== null && isSame(hash, Buffer.from(stored.hash, 'hex'))
      return isIts ? { kind: 'session', sessionId, tools: stored.tools } : null
    }
    let found: KnownToken | null = null
    for (const { token, bytes } of known) if (isSame(hash, bytes)) found = token
    return found === null ? null : { kind: 'token', name: found.name, scopes: found.scopes }
  }
}

function isSame(hash: Buffer, stored: Buffer): boolean {
  return hash.length === stored.length && timingSafeEqual(hash, stored)
}

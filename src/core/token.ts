/**
 * Tokens of the board: how they look, and how they are written into the configuration. A token is 256 random bits, so
 * its SHA-256 tells nothing about it and needs no salt; only that hash is kept.
 *
 *     drover_token_<43 characters>                            a person's or a service's
 *     drover_session_<session id>_<43 characters>             an agent's, as long as its session has not ended
 */
import { randomBytes } from 'node:crypto'
import { nearest, sha256 } from './ids.ts'
import { SCOPES, type Scope } from './scope.ts'

/** A token as the configuration has it. */
export interface KnownToken {
  /** Recorded as the actor of what is asked for with it. Two tokens may have one name: the old one and the new one. */
  readonly name: string
  readonly scopes: readonly Scope[]
  /** Hex SHA-256 of the token. */
  readonly hash: string
}

const RANDOM_BYTES = 32
const TOKEN_NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/
const SESSION_TOKEN =
  /^drover_session_([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})_[\w-]{43}$/

/** A fresh token. */
export function newToken(): string {
  return `drover_token_${randomBytes(RANDOM_BYTES).toString('base64url')}`
}

/** A fresh token for the agent of a session. */
export function newSessionToken(sessionId: string): string {
  return `drover_session_${sessionId}_${randomBytes(RANDOM_BYTES).toString('base64url')}`
}

/** What of a session's token nobody can guess; the rest is the session's id. */
export function secretPartOf(token: string): string {
  return token.slice(-Math.ceil((RANDOM_BYTES * 8) / 6))
}

/** The session that a session's token is of; null for any other text. */
export function sessionOfToken(token: string): string | null {
  return SESSION_TOKEN.exec(token)?.[1] ?? null
}

/** What is wrong with a token's name; null for nothing. */
export function tokenNameProblem(name: string): string | null {
  return TOKEN_NAME.test(name) ? null : 'a name has letters, digits and . _ - @, at most 64 of them'
}

/** What is wrong with a scope; null for nothing. */
export function scopeProblem(scope: string): string | null {
  if (isScope(scope)) return null
  const near = nearest(scope, SCOPES)
  return `there is no scope "${scope.slice(0, 40)}" (${SCOPES.join(', ')})${near === null ? '' : `; did you mean "${near}"?`}`
}

function isScope(text: string): text is Scope {
  return SCOPES.some((scope) => scope === text)
}

/** `ci:read+submit:<hex SHA-256>`: how the configuration has a token. */
export function writeToken({ name, scopes, hash }: KnownToken): string {
  return `${name}:${scopes.join('+')}:${hash}`
}

/** A written token; to be asked `writtenTokenProblem` first. */
export function parseToken(written: string): KnownToken {
  const [name = '', scopes = '', hash = ''] = written.split(':')
  return { name, scopes: scopes.split('+').filter(isScope), hash }
}

/** What is wrong with a written token, without saying it: it may be the token itself. Null for nothing. */
export function writtenTokenProblem(written: string): string | null {
  const [name = '', scopes = '', hash = '', ...more] = written.split(':')
  if (/drover_(?:token|session)_/.test(written)) {
    return 'it holds a token itself; write its hash, as "drover tokens create" prints it'
  }
  if (more.length > 0 || hash === '') return 'a token is written name:scope+scope:hash'
  const ofHash = /^[0-9a-f]{64}$/.test(hash) ? null : 'the hash is the SHA-256 of the token, 64 hex digits'
  return (
    tokenNameProblem(name) ??
    scopes
      .split('+')
      .map(scopeProblem)
      .find((problem) => problem !== null) ??
    ofHash
  )
}

/** The token as it may be shown to people and in logs: without its hash. */
export function maskedToken(written: string): string {
  return written.replace(/:[^:]*$/, ':***')
}

/** The hash that is kept of a token. */
export function tokenHash(token: string): string {
  return sha256(token)
}

/**
 * What a token has opened ends with the token. Tokens of the configuration are read when the board starts, so only a
 * session's can end before its stream does: with the session, and when its next agent gets another one.
 */
import type { Principal } from './principal.ts'

/** So long a stream may outlive its token. */
const LOOK_MS = 2000

/**
 * Aborts soon after `look` no longer resolves with somebody, and with `signal`. A look that fails says nothing: Redis
 * is away.
 */
export function untilRevoked(look: () => Promise<Principal | null>, signal: AbortSignal): AbortSignal {
  const revoked = new AbortController()
  const check = async (): Promise<void> => {
    if ((await look()) === null) revoked.abort()
  }
  const timer = setInterval(() => void check().catch(() => undefined), LOOK_MS)
  const either = AbortSignal.any([signal, revoked.signal])
  either.addEventListener('abort', () => clearInterval(timer), { once: true })
  if (either.aborted) clearInterval(timer)
  return either
}

/**
 * Where a request comes from. Without tokens the board takes programs of this machine and its own pages. A foreign
 * page in a browser of this machine is neither; it is told by its `Origin`, or, where it made a name of its own point
 * here (DNS rebinding), by the `Host`.
 *
 * With tokens a page of another site still has nothing to ask: a browser would send the login's cookie with it. A board
 * that listens for other machines is called by names that it cannot know, so there any `Host` will do unless the
 * configuration lists them: what a name that was made to point here lacks is the cookie.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { DroverError } from '../core/errors.ts'
import { hostWithPort, isLoopback } from './address.ts'

const LOOPBACK_NAMES = ['127.0.0.1', 'localhost', '::1']
const HTTP_PORT = 80

export interface SameSiteOptions {
  /** The configured host. */
  readonly host: string
  /** The port that the board listens on. */
  readonly port: () => number
  /** More names that it is asked by: of proxies, with a port or for all ports. */
  readonly allowedHosts: readonly string[]
  readonly hasTokens: boolean
}

/** Answers why a request is refused (`forbidden`), or null. */
export function createSameSiteCheck({
  host,
  port,
  allowedHosts,
  hasTokens,
}: SameSiteOptions): (headers: IncomingHttpHeaders) => DroverError | null {
  const names = [...new Set([...LOOPBACK_NAMES, host])]
  const allowed = new Set(allowedHosts.map((name) => name.toLowerCase()))
  const takesAnyHost = hasTokens && !isLoopback(host) && allowed.size === 0

  const isAllowed = (asked: string): boolean => allowed.has(asked) || allowed.has(withoutPort(asked))
  const isOurs = (asked: string): boolean =>
    names.some((name) => {
      const whole = hostWithPort(name, port())
      return asked === whole || (port() === HTTP_PORT && `${asked}:${HTTP_PORT}` === whole)
    })

  /** The board's own pages: those of the host that was asked, or of a proxy's. */
  const isOwnOrigin = (origin: string, asked: string): boolean => {
    if (origin === `http://${asked}`) return true
    const [, scheme, from = ''] = /^(https?):\/\/([^/]+)$/.exec(origin.toLowerCase()) ?? []
    return scheme !== undefined && (isAllowed(from) || (hasTokens && from === asked))
  }

  return ({ host: named = '', origin }) => {
    const asked = named.toLowerCase()
    if (!takesAnyHost && !isOurs(asked) && !isAllowed(asked)) {
      return new DroverError(
        'forbidden',
        `This board answers only as ${hostWithPort(host, port())} or another loopback name with that port; ` +
          'the request named another host. Names of proxies are listed in board.allowed_hosts (DROVER_ALLOWED_HOSTS).',
      )
    }
    if (origin === undefined || isOwnOrigin(origin, asked)) return null
    return new DroverError(
      'forbidden',
      'This board answers only to its own pages; the request came from another site.',
    )
  }
}

function withoutPort(host: string): string {
  return host.replace(/:\d+$/, '')
}

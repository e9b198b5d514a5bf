/**
 * Who may ask, as long as there are no tokens: programs of this machine, and the board's own pages. A foreign page
 * in a browser of this machine is neither; it is told by its `Origin`, or, where it made a name of its own point
 * here (DNS rebinding), by the `Host`.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { DroverError } from '../core/errors.ts'
import { hostWithPort } from './address.ts'

const LOOPBACK_NAMES = ['127.0.0.1', 'localhost', '::1']
const HTTP_PORT = 80

export interface SameSiteOptions {
  /** The configured host. */
  readonly host: string
  /** The port that the board listens on. */
  readonly port: () => number
}

/** Answers why a request is refused (`forbidden`), or null. */
export function createSameSiteCheck({
  host,
  port,
}: SameSiteOptions): (headers: IncomingHttpHeaders) => DroverError | null {
  const names = [...new Set([...LOOPBACK_NAMES, host])]

  const isOurs = (asked: string): boolean =>
    names.some((name) => {
      const whole = hostWithPort(name, port())
      return asked === whole || (port() === HTTP_PORT && `${asked}:${HTTP_PORT}` === whole)
    })

  return (headers) => {
    const asked = (headers.host ?? '').toLowerCase()
    if (!isOurs(asked)) {
      return new DroverError(
        'forbidden',
        `This board answers only as ${hostWithPort(host, port())} or another loopback name with that port; ` +
          'the request named another host.',
      )
    }
    if (headers.origin === undefined || headers.origin === `http://${asked}`) return null
    return new DroverError(
      'forbidden',
      'This board answers only to its own pages; the request came from another site.',
    )
  }
}

/** Where the board listens, and who may be asking. */
import type { FastifyInstance } from 'fastify'
import { DroverError, messageOf } from '../core/errors.ts'

/** How long the holder of a taken port may take to say who it is. */
const ASK_HOLDER_MS = 1000

/** `localhost`, `::1` and `127.…`: only this machine can reach it. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

/** Throws `invalid_request` for an address that others could reach where there are no tokens: then nobody may. */
export function requireLoopback(host: string, tokens: readonly unknown[]): void {
  if (isLoopback(host) || tokens.length > 0) return
  throw new DroverError(
    'invalid_request',
    `The board would listen on ${host}, where other machines can reach it, and it knows no tokens: whoever reaches ` +
      'it can run code on the pods. Make a token with "drover tokens create" and put its line into board.tokens ' +
      '(DROVER_TOKENS), or listen on 127.0.0.1, ::1 or localhost (board.host, DROVER_HOST, --host).',
    { issues: [{ path: 'board.host', message: `${host} is no loopback address, and there is no token` }] },
  )
}

/** Where a program of this machine finds a board that listens there: `0.0.0.0` is no address to ask. */
export function askedAt(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}

/** `127.0.0.1:4680`, `[::1]:4680` */
export function hostWithPort(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/**
 * Listens, and answers the port (a free one was taken for 0).
 *
 * @throws DroverError `port_in_use`, naming the holder where it can be found out
 */
export async function listen(app: FastifyInstance, host: string, port: number): Promise<number> {
  try {
    await app.listen({ host, port })
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
      ? await portInUse(host, port)
      : cannotListen(host, port, error)
  }
  const address = app.server.address()
  if (address === null || typeof address === 'string') throw new Error('the board listens on no port')
  return address.port
}

async function portInUse(host: string, port: number): Promise<DroverError> {
  const holder = await askHolder(host, port)
  const whose =
    holder === null
      ? 'another program'
      : `another Drover board (pid ${holder.pid}, namespace ${holder.namespace}, version ${holder.version})`
  return new DroverError(
    'port_in_use',
    `Port ${port} of ${host} is taken by ${whose}. Stop it, or use another port (--port, DROVER_PORT).`,
    { host, port, holder },
  )
}

interface Holder {
  readonly pid: number
  readonly namespace: string
  readonly version: string
}

async function askHolder(host: string, port: number): Promise<Holder | null> {
  try {
    const response = await fetch(`http://${hostWithPort(host, port)}/healthz`, {
      signal: AbortSignal.timeout(ASK_HOLDER_MS),
      redirect: 'error',
    })
    const said = (await response.json()) as Record<string, unknown>
    if (said['service'] !== 'drover') return null
    return {
      pid: Number(said['pid']),
      namespace: String(said['namespace']),
      version: String(said['version']),
    }
  } catch {
    return null
  }
}

function cannotListen(host: string, port: number, cause: unknown): DroverError {
  return new DroverError(
    'invalid_request',
    `The board cannot listen on ${hostWithPort(host, port)} (${messageOf(cause)}). Use another address (--host, --port).`,
    { host, port },
    { cause },
  )
}

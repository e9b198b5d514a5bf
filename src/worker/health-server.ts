/**
 * A worker's own health for Kubernetes and the like: `/healthz` while the process lives, `/readyz` while it serves its
 * queues, also when it is full, `/metrics` for Prometheus. It tells nothing of any session, so that it may be reached from where the board may not.
 */
import { createServer, type ServerResponse } from 'node:http'
import { DroverError, messageOf } from '../core/errors.ts'
import { exposition, EXPOSITION_TYPE, type Metric } from '../telemetry/exposition.ts'
import type { Readiness } from './readiness.ts'

export interface HealthServerOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** Members of every answer: service, pod, version. */
  readonly identity: Readonly<Record<string, string | number>>
  readonly readiness: () => Readiness
  readonly metrics: () => readonly Metric[]
}

export interface HealthServer {
  readonly port: number
  stop(): Promise<void>
}

/**
 * Listens; by itself it keeps no process alive.
 *
 * @throws DroverError `port_in_use`, `invalid_request` where the address is not one of this machine
 */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const { host, port, identity, readiness, metrics } = options
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0]
    if (path === '/healthz') return answer(response, 200, { ...identity, status: 'ok' })
    if (path === '/metrics') {
      response.writeHead(200, { 'content-type': EXPOSITION_TYPE, 'cache-control': 'no-store' })
      return response.end(exposition(metrics()))
    }
    if (path !== '/readyz') {
      return answer(response, 404, { ...identity, message: 'Here are /healthz, /readyz and /metrics.' })
    }
    const { state, why } = readiness()
    // A full pod does its work: a roll-out that waits for it would wait for as long as its sessions run.
    const ready = state === 'ready' || state === 'no_room'
    return answer(response, ready ? 200 : 503, {
      ...identity,
      status: ready ? 'ok' : 'unavailable',
      state,
      message: why,
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(cannotListen(host, port, error)))
    server.listen(port, host, resolve)
  })
  server.unref()
  const address = server.address()
  return {
    port: address === null || typeof address === 'string' ? port : address.port,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body)
  response
    .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    .end(`${text}\n`)
}

function cannotListen(host: string, port: number, error: NodeJS.ErrnoException): DroverError {
  if (error.code === 'EADDRINUSE') {
    return new DroverError(
      'port_in_use',
      `Port ${port} of ${host} is taken. Choose another one for the worker's health with DROVER_HEALTH_PORT, or 0 for none.`,
      { host, port },
    )
  }
  return new DroverError(
    'invalid_request',
    `The worker cannot answer for its health on ${host}, port ${port} (${messageOf(error)}). Correct DROVER_HEALTH_HOST or DROVER_HEALTH_PORT.`,
    { host, port },
    { cause: error },
  )
}

/**
 * Drover over HTTP for other services: the methods of `createProducer`, and all that a board knows beside them, with the
 * names of TypeScript. What the command line uses (`http-client.ts`) is the same with the names of the wire.
 */
import { randomUUID } from 'node:crypto'
import type { Envelope } from '../core/envelope.ts'
import { boardUrlOf } from './call-schema.ts'
import { toCamel, toDeepCamel, toDeepSnake, toSnake, type DeepCamel } from './camel.ts'
import { createHttpClient, type HttpClient, type SpawnDocument } from './http-client.ts'
import type { EventsOptions } from './event-stream.ts'
import type { Producer, SpawnOptions, Spawned } from './producer.ts'
import type { CompletedAnswer } from '../core/answer.ts'

/** Which board, and as whom. */
export interface ClientOptions {
  /** `http://127.0.0.1:4680` */
  readonly url: string
  /** From `drover tokens create`; not needed for a board without tokens. */
  readonly token?: string | null
}

/** What to run: as for a producer, and tasks too. Prompt and workspace may come from the task. */
export interface ClientSpawnOptions extends Omit<SpawnOptions, 'workspaceDir'> {
  /** Absolute, on a machine where pods run. @default the task's, or the board's first workspace root */
  readonly workspaceDir?: string
  /** It must exist and be `pending` or `spawned`. */
  readonly taskId?: string
  /** Tasks that must be completed first. */
  readonly dependsOn?: readonly string[]
}

/** Methods that are the producer's, under the names and with the options that it has. */
type Own = keyof Producer | 'request' | 'accept' | 'wait' | 'url'

/** A method of the wire with the names of TypeScript; what streams is as it was published. */
type CamelMethod<Method> = Method extends (...args: infer Args) => Promise<infer Answer>
  ? (...args: { [K in keyof Args]: DeepCamel<Args[K]> }) => Promise<DeepCamel<Answer>>
  : Method

type Beside = { readonly [Name in Exclude<keyof HttpClient, Own>]: CamelMethod<HttpClient[Name]> }

/**
 * Every method throws `DroverError`: what the board answers, or `board_unavailable`. A request that may be repeated
 * (`spawn` always may) is asked again where its answer is lost.
 */
export interface Client extends Omit<Producer, 'spawn'>, Beside {
  /** @throws DroverError as the producer's, and what is said of tasks */
  spawn(options: ClientSpawnOptions): Promise<Spawned>
  /** From the session's first event (all of history), then live; ends after the session's end. */
  events(sessionId: string, options?: EventsOptions): AsyncGenerator<Envelope, void, void>
}

/**
 * Opens nothing: there is nothing to close, and `close` does nothing.
 *
 * @example
 * const client = createClient({ url: 'http://127.0.0.1:4680', token: process.env.DROVER_TOKEN })
 * const session = await client.spawn({ agentType: 'architect', prompt: '…', workspaceDir: '/srv/shop' })
 * const { output } = await client.result(session.sessionId)
 * const { sessions } = await client.sessions({ agentType: 'architect', status: 'failed' })
 */
export function createClient({ url, token = null }: ClientOptions): Client {
  const http = createHttpClient({ url: boardUrlOf(url), token })

  return {
    ...besideOf(http),
    async spawn({ signal, idempotencyKey, createdBy, vars, ...options }) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the board checks it
      const body = {
        ...toSnake(options),
        ...(vars === undefined ? {} : { vars }),
      } as unknown as SpawnDocument
      // Without a key one of its own, so that it may be asked again.
      const call = { idempotencyKey: idempotencyKey ?? randomUUID(), createdBy, signal }
      return toCamel(await http.spawn(body, call))
    },
    events: (sessionId, options) => http.events(sessionId, options),
    async result(sessionId, { signal } = {}) {
      const asked = { session_id: sessionId, timeout_seconds: 0 }
      const answer = await http.wait(asked, 'completed', { signal })
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what `completed` is answered with
      return toCamel(answer as CompletedAnswer)
    },
    async kill(sessionId, { signal, ...body } = {}) {
      return toCamel(await http.kill(sessionId, toSnake(body), signal))
    },
    async restart(sessionId, { signal, ...body } = {}) {
      return toCamel(await http.restart(sessionId, toSnake(body), signal))
    },
    async send(sessionId, text, options) {
      return toCamel(await http.send(sessionId, text, options))
    },
    async interrupt(sessionId, { signal } = {}) {
      return toCamel(await http.interrupt(sessionId, signal))
    },
    async answer(sessionId, { requestId, behavior, message, updatedInput, interrupt }) {
      // What is in the tool's input is the tool's, and is not renamed.
      const body = { request_id: requestId, behavior, message, updated_input: updatedInput, interrupt }
      return toCamel(await http.answer(sessionId, body))
    },
    close: async () => {},
  }
}

function besideOf(http: HttpClient): Beside {
  const methods = Object.entries(http).flatMap(([name, method]: [string, unknown]) =>
    typeof method === 'function' ? [[name, camelMethod(method as AnyMethod)] as const] : [],
  )
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- made of the same methods, one by one
  return Object.fromEntries(methods) as unknown as Beside
}

type AnyMethod = (...args: readonly unknown[]) => unknown

function camelMethod(method: AnyMethod): AnyMethod {
  return (...args) => {
    const answer = method(...args.map((arg) => toDeepSnake<unknown>(arg)))
    return answer instanceof Promise ? answer.then(toDeepCamel) : answer
  }
}

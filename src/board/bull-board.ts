/**
 * Bull Board at `/queues`: the queues of all known agent types, as they appear.
 *
 * It may look at everything and change next to nothing. What the queues hold is decided elsewhere: a session that is
 * taken out of its queue is put back by `ensureJobs`, one that is put in without a record never starts, and the
 * global concurrency is how sessions wait. So its routes that change something are refused, but for those that
 * mean here what they say. Read off the 9.10.1 sources; a route that a later version adds is refused too.
 */
import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { FastifyAdapter } from '@bull-board/fastify'
import type { BeforeHookResult, HookContext, QueueJobJson, UIConfig } from '@bull-board/api/typings/app'
import type { FastifyInstance, RouteOptions } from 'fastify'
import type { AgentTypeSummary } from '../core/type-view.ts'
import type { AgentTypeRegistry } from '../queue/agent-types.ts'
import type { Scope } from '../core/scope.ts'
import type { Queues } from '../queue/jobs.ts'

/** The path under which Bull Board is served. */
export const QUEUES_PATH = '/queues'
/** How soon a type that a pod announces is shown. */
const LOOK_FOR_TYPES_MS = 5000
/** Longest text of a job's data, progress or return value: a job is a reference, anything longer is not ours. */
const SHOWN_CHARS = 2000

/** Routes that change something and are not refused. */
const ALLOWED_CHANGES: readonly string[] = [
  '/api/queues/pause',
  '/api/queues/resume',
  '/api/queues/:queueName/pause',
  '/api/queues/:queueName/resume',
  '/api/queues/:queueName/:jobId/priority',
]
/** Taking finished jobs away changes nothing but the list. */
const CLEAN_ROUTE = '/api/queues/:queueName/clean/:queueStatus'
const FINISHED: readonly unknown[] = ['completed', 'failed']

export interface BullBoardParts {
  readonly types: AgentTypeRegistry
  readonly queues: Queues
  readonly namespace: string
  /** People log in: there is a way out, too. */
  readonly hasLogin: boolean
  readonly onError: (error: unknown) => void
}

export interface MountedBullBoard {
  /** Looks for new types now. */
  look(): Promise<void>
  stop(): void
}

/** What its routes need: looking needs `read`, the few changes that are not refused `admin`. Null for other routes. */
export function bullBoardScope({ method, url }: Pick<RouteOptions, 'method' | 'url'>): Scope | null {
  if (url !== QUEUES_PATH && !url.startsWith(`${QUEUES_PATH}/`)) return null
  const methods = typeof method === 'string' ? [method] : method
  return methods.every((name) => name === 'GET' || name === 'HEAD') ? 'read' : 'admin'
}

export function mountBullBoard(app: FastifyInstance, parts: BullBoardParts): MountedBullBoard {
  const { types, queues, onError } = parts
  const serverAdapter = new FastifyAdapter()
  serverAdapter.setBasePath(QUEUES_PATH)
  const board = createBullBoard({
    queues: [],
    serverAdapter,
    options: {
      handlerHooks: { before: refuseChanges },
      uiConfig: {
        boardTitle: 'Drover',
        favIcon: { default: '/assets/icon.svg', alternative: 'static/favicon-32x32.png' },
        boardLogo: { path: '/assets/icon.svg', width: 28, height: 28 },
        miscLinks: [
          { text: 'Sessions', url: '/' },
          ...(parts.hasLogin ? [{ text: 'Log out', url: '/login' }] : []),
        ],
        ...badgeOf(parts.namespace),
        hideDocsLink: true,
      },
    },
  })
  app.register(
    (scope, _options, done) => {
      scope.addHook('onSend', async (_request, reply, payload) => withoutForeignOrigins(reply, payload))
      scope.register(serverAdapter.registerPlugin())
      done()
    },
    { prefix: QUEUES_PATH },
  )

  const shown = new Map<string, string>()

  async function look(): Promise<void> {
    const known = await types.list()
    for (const type of known) {
      const summary = JSON.stringify(type)
      if (shown.get(type.name) === summary) continue
      board.addQueue(adapterOf(queues, type))
      shown.set(type.name, summary)
    }
    const names = new Set(known.map(({ name }) => name))
    for (const name of [...shown.keys()].filter((name) => !names.has(name))) {
      board.removeQueue(name)
      shown.delete(name)
    }
  }

  const timer = setInterval(() => void look().catch(onError), LOOK_FOR_TYPES_MS)
  return { look, stop: () => clearInterval(timer) }
}

/** Who has several boards open must not take one for the other. */
function badgeOf(namespace: string): Pick<UIConfig, 'environment'> {
  if (namespace === 'default') return {}
  return { environment: { label: namespace, color: '#2f6f5e', textColor: '#ffffff' } }
}

function adapterOf(queues: Queues, type: AgentTypeSummary): BullMQAdapter {
  const adapter = new BullMQAdapter(queues.of(type.name), {
    displayName: type.name,
    description: type.description,
    // A session that failed is asked for again as a new one; its old job would end at once.
    allowRetries: false,
    externalJobUrl: (job: QueueJobJson) => ({
      displayText: 'Open session',
      href: `/sessions/${encodeURIComponent(String(job.id ?? ''))}`,
    }),
  })
  for (const field of ['data', 'returnValue', 'progress'] as const) adapter.setFormatter(field, bounded)
  return adapter
}

function bounded(value: unknown): unknown {
  const text = JSON.stringify(value) ?? ''
  return text.length <= SHOWN_CHARS ? value : `${text.slice(0, SHOWN_CHARS)}…`
}

function refuseChanges({ method, route, request }: HookContext): BeforeHookResult {
  if (method === 'get' || ALLOWED_CHANGES.includes(route)) return
  if (route === CLEAN_ROUTE && FINISHED.includes(request.params['queueStatus'])) return
  return {
    allow: false,
    status: 403,
    message:
      'Drover decides what its queues hold, and how many sessions run at once: this is not changed here.',
  }
}

/** The page asks for a web font of another site. This board works without the internet, and tells nobody. */
const FOREIGN_LINK = /<link\s[^>]*href="https?:[^>]*>/g
/** Its scripts set styles; everything comes from here. */
const CONTENT_POLICY = [
  "default-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "object-src 'none'",
  "base-uri 'self'",
  "frame-ancestors 'none'",
].join('; ')

function withoutForeignOrigins(
  reply: { getHeader(name: string): unknown; header(name: string, value: string): unknown },
  payload: unknown,
): unknown {
  const type = reply.getHeader('content-type')
  if (typeof payload !== 'string' || typeof type !== 'string' || !type.includes('text/html')) return payload
  // The login in its place has a stricter one.
  if (reply.getHeader('content-security-policy') !== undefined) return payload
  reply.header('content-security-policy', CONTENT_POLICY)
  return payload.replaceAll(FOREIGN_LINK, '')
}

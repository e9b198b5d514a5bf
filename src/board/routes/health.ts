/** `/healthz`: who is here. `/readyz`: can it do its work? */
import type { Redis } from 'ioredis'
import { z } from 'zod'
import { sleep } from '../../core/clock.ts'
import type { LedgerReader } from '../../ledger/ledger.ts'
import { redisReason } from '../../queue/connection.ts'
import { readLeaseGate } from '../../queue/incarnation.ts'
import type { Keys } from '../../queue/keys.ts'
import { readLag } from '../../recorder/lag.ts'
import type { Recorder } from '../../recorder/recorder.ts'
import type { Alarm, Alarms } from '../../telemetry/alarms.ts'
import type { BoardApp } from '../zod-routes.ts'

export interface HealthRoutesParts {
  readonly version: string
  readonly namespace: string
  readonly dataDir: string
  /** Of the agent types' leases. */
  readonly leaseTtlMs: number
  readonly redis: Redis
  readonly keys: Keys
  readonly ledger: LedgerReader
  readonly recorder: Pick<Recorder, 'recording' | 'position'>
  readonly alarms: Alarms
}

/** A check that takes longer has failed. */
const CHECK_MS = 2000
/** How far the ledger may be behind the stream before somebody should look. */
const LAG_LIMIT_MS = 10_000
/** Nobody's id, so that the question costs one look into an index. */
const NO_SESSION = ''

const checkSchema = z.looseObject({
  status: z
    .enum(['ok', 'waiting', 'fail'])
    .describe('waiting: it will be ok by itself, and requests are taken meanwhile.'),
})
type Check = Readonly<z.infer<typeof checkSchema>>

const identitySchema = z.object({
  service: z.literal('drover'),
  version: z.string(),
  namespace: z.string(),
  pid: z.int(),
})
const healthSchema = identitySchema.extend({ status: z.literal('ok'), data_dir: z.string() })
const readinessSchema = identitySchema
  .extend({
    status: z.enum(['ok', 'unavailable']),
    checks: z.object({
      redis: checkSchema,
      ledger: checkSchema,
      recorder: checkSchema,
      leases: checkSchema,
    }),
    alarms: z
      .array(z.object({ name: z.string(), message: z.string(), since: z.string() }))
      .readonly()
      .describe('What somebody should look at, also while requests are taken.'),
  })
  .meta({ id: 'Readiness' })

const tags = ['Operation']

/** Declares them. */
export function healthRoutes(app: BoardApp, parts: HealthRoutesParts): void {
  const identity = {
    service: 'drover' as const,
    version: parts.version,
    namespace: parts.namespace,
    pid: process.pid,
  }

  app.get(
    '/healthz',
    {
      config: { scope: 'open' },
      schema: { tags, summary: 'Who is here', response: { 200: healthSchema } },
    },
    async () => ({ ...identity, status: 'ok' as const, data_dir: parts.dataDir }),
  )

  const readiness = {
    config: { scope: 'read' },
    schema: {
      tags,
      summary: 'Can the board do its work?',
      response: { 200: readinessSchema, 503: readinessSchema },
    },
  } as const
  app.get('/readyz', readiness, async (_request, reply) => {
    const [redis, ledger, recorder, leases] = await Promise.all([
      check(async () => ({ answer: await parts.redis.ping() })),
      check(async () => askLedger(parts.ledger)),
      check(() => lagOf(parts)),
      check(() => askLeases(parts)),
    ])
    const checks = { redis, ledger, recorder, leases }
    const ready = Object.values(checks).every(({ status }) => status !== 'fail')
    return await reply.code(ready ? 200 : 503).send({
      ...identity,
      status: ready ? ('ok' as const) : ('unavailable' as const),
      checks,
      alarms: alarmsOf(parts),
    })
  })
}

/** What somebody should look at, also while requests are taken: what is wrong now, and what the ledger has noted. */
export function alarmsOf({ alarms, ledger }: Pick<HealthRoutesParts, 'alarms' | 'ledger'>): readonly Alarm[] {
  try {
    return [...alarms.list(), ...ledger.figures.alarms()]
  } catch {
    // The check of the ledger says why it cannot be asked.
    return alarms.list()
  }
}

async function check(look: () => Promise<Record<string, unknown>>): Promise<Check> {
  const answered = new AbortController()
  const late = sleep(CHECK_MS, answered.signal).then(() => {
    throw new Error(`no answer within ${CHECK_MS} ms`)
  })
  try {
    return { status: 'ok', ...(await Promise.race([look(), late])) }
  } catch (error) {
    return { status: 'fail', message: redisReason(error) }
  } finally {
    answered.abort()
  }
}

function askLedger(ledger: LedgerReader): Record<string, unknown> {
  ledger.events.lastSeq(NO_SESSION)
  return { file: ledger.path }
}

/** Sessions are accepted, and none starts, while Redis is in quarantine. */
async function askLeases({ redis, keys, leaseTtlMs }: HealthRoutesParts): Promise<Record<string, unknown>> {
  const gate = await readLeaseGate(redis, keys, leaseTtlMs)
  if (gate === null) return {}
  return {
    status: 'waiting',
    message:
      'Redis was restarted, failed over or emptied: no session starts until what the ledger knows is written back ' +
      'and one lease time is over.',
    restored: gate.restored,
    seconds_left: gate.leftMs === null ? null : Math.ceil(gate.leftMs / 1000),
  }
}

/** How far the ledger is behind the stream, whichever board records. */
async function lagOf({ redis, keys, recorder }: HealthRoutesParts): Promise<Record<string, unknown>> {
  const lag = await readLag(redis, keys, recorder.position)
  const facts = {
    recording: recorder.recording,
    lag_ms: lag.lagMs,
    stream_length: lag.length,
    unrecorded: lag.unrecorded,
    oldest_unrecorded: lag.oldest,
  }
  if (lag.lagMs <= LAG_LIMIT_MS) return facts
  const message = `The ledger is ${Math.round(lag.lagMs / 1000)} s behind the stream; what happens meanwhile waits there.`
  return { ...facts, status: 'fail', message }
}

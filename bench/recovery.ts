/**
 * How long it takes until a session goes on after a fault: real pods behind the fault rig's proxies, the fake CLI with
 * a daemon of its own in each agent, all times a tenth of the defaults but the back-off, which is the default.
 *
 * A round is one fault and as many sessions as there are types, so the rounds of a pod's death are measured on all its
 * sessions at once. Times are by the clock of the machine: when the fault was sent, when the kernel gave the lock of
 * an agent's processes away, and the stamps of the events. An agent runs when the CLI has confirmed its start.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { OwnEventType } from '../src/core/envelope.ts'
import { openField, type Field, type FieldTimes } from '../test/fault/rig/field.ts'
import type { FieldPod } from '../test/fault/rig/pod.ts'
import { until } from '../test/support/until.ts'
import { median, summarize, type Detail, type Goal, type Result } from './report.ts'
import type { Stage } from './stage.ts'

/** Enough for 20 values each, few enough that two cores start them without a queue. */
const TYPES = ['one', 'two', 'three', 'four']
const ROUNDS = 5
const QUICK_TYPES = TYPES.slice(0, 3)
const QUICK_ROUNDS = 1

const TIMES: FieldTimes = {
  ttlMs: 3000,
  renewMs: 750,
  marginMs: 500,
  heartbeatMs: 500,
  stallMs: 6000,
  backoffMs: 2000,
  killGraceMs: 1000,
  endGraceMs: 500,
}
/** What a takeover may cost beyond the lease: BullMQ's look for jobs of dead workers, the back-off, the start. */
const TAKEOVER_MS = 2000 + TIMES.backoffMs + 1000
/** A back-off is up to a tenth longer, and a death is noticed within a second. */
const NOTICE_MS = 1000
const JITTER_MS = TIMES.backoffMs / 10
/** The longest of all that beats here, BullMQ's look: the faults of five rounds come at five moments of it. */
const LONGEST_BEAT_MS = 2000
const SILENCE_MS = 600_000
const GONE_TIMEOUT_MS = 30_000

/** A session that runs and is about to suffer. */
interface Victim {
  readonly sessionId: string
  readonly agentId: string
  /** Of the CLI. */
  readonly pid: number
  readonly pod: FieldPod
}

/** Milliseconds since 1970. */
interface Recovery {
  readonly fault: number
  /** The agent's last process is gone. */
  readonly gone: number
  /** The stamp of the session's nth event of a type; throws where there is none. */
  readonly at: (type: OwnEventType, nth?: number) => number
}

type Fault = (victims: readonly Victim[]) => void | Promise<void>

export async function benchRecovery(stage: Stage): Promise<readonly Result[]> {
  const types = stage.quick ? QUICK_TYPES : TYPES
  const opening = openField({
    pods: 1,
    types: Object.fromEntries(types.map((name) => [name, {}])),
    times: TIMES,
  })
  stage.defer(async () => (await opening).close())
  const field = await opening

  async function suffer(fault: Fault, elsewhere: boolean): Promise<readonly Recovery[]> {
    const recoveries: Recovery[] = []
    const rounds = stage.quick ? QUICK_ROUNDS : ROUNDS
    for (let round = 0; round < rounds; round++) {
      const victims = await startVictims(field, types)
      // Only now: until here the first pod is the only one, so all of them are on it.
      if (elsewhere) await field.startPod()
      await delay((LONGEST_BEAT_MS * round) / rounds)
      recoveries.push(...(await recover(field, victims, fault)))
      await Promise.all(victims.map(({ sessionId }) => field.producer.kill(sessionId, { force: true })))
    }
    return recoveries
  }

  const cli = await suffer((victims) => signalEach(victims, 'SIGKILL'), false)
  const frozen = await suffer((victims) => signalEach(victims, 'SIGSTOP'), false)
  const guard = await suffer(([victim]) => victim?.pod.signalGuard('SIGKILL'), false)
  const worker = await suffer(async ([victim]) => victim?.pod.kill(), true)
  const drained = await suffer(async ([victim]) => void (await victim?.pod.drain()), true)

  const { ttlMs, stallMs, backoffMs, heartbeatMs } = TIMES
  return [
    row('worker kill -9: all of the agent is gone after', worker, (r) => r.gone - r.fault, most(1000)),
    row(
      `worker kill -9: the next agent runs on another pod, beyond the lease (${ttlMs} ms)`,
      worker,
      (r) => nextOf(r) - r.fault - ttlMs,
      most(TAKEOVER_MS),
    ),
    row(
      'CLI kill -9: its end is recorded after',
      cli,
      (r) => r.at('drover.agent.exited') - r.fault,
      most(NOTICE_MS),
    ),
    row(
      `CLI kill -9: the next agent runs, beyond the back-off (${backoffMs} ms)`,
      cli,
      (r) => nextOf(r) - r.fault - backoffMs,
      most(NOTICE_MS + JITTER_MS),
    ),
    row(
      `frozen CLI: stalled, beyond the stall timeout (${stallMs} ms)`,
      frozen,
      (r) => stalledOf(r) - r.fault - stallMs,
      most(2 * heartbeatMs),
      [
        {
          label: 'the next agent runs after',
          value: medianOf(frozen, (r) => nextOf(r) - stalledOf(r)),
          unit: 'ms',
        },
      ],
    ),
    row('guard kill -9: the next agent runs after', guard, (r) => nextOf(r) - r.fault, null, [
      {
        label: 'all of the agent is gone after',
        value: medianOf(guard, (r) => r.gone - r.fault),
        unit: 'ms',
      },
    ]),
    row(
      'hand-over on SIGTERM: from the end of the CLI until the next agent runs on another pod',
      drained,
      (r) => nextOf(r) - r.gone,
      most(2000),
    ),
  ]
}

/** A session of each type, under way: it has printed a line, its daemon runs, its conversation is copied. */
async function startVictims(field: Field, types: readonly string[]): Promise<readonly Victim[]> {
  return await Promise.all(
    types.map(async (agentType) => {
      const sessionId = await field.spawn(
        { silence_ms: SILENCE_MS, daemons: ['setsid'], daemon_dir: `daemons-${agentType}` },
        { agentType },
      )
      await field.recorded(sessionId, 'claude.assistant')
      await until(async () => (await field.redis.exists(field.keys.transcript(sessionId))) === 1)
      return await field.agentOf(sessionId)
    }),
  )
}

function signalEach(victims: readonly Victim[], signal: NodeJS.Signals): void {
  for (const { pid } of victims) process.kill(pid, signal)
}

async function recover(field: Field, victims: readonly Victim[], fault: Fault): Promise<readonly Recovery[]> {
  const watched = victims.map(({ sessionId, agentId }) => ({ sessionId, gone: untilGone(field, agentId) }))
  const at = Date.now()
  const done = fault(victims)
  const recoveries = await Promise.all(
    watched.map(async ({ sessionId, gone }) => {
      await field.recorded(sessionId, 'drover.agent.started', 2)
      if (field.ledger.agents(sessionId)[1]?.command.includes('--resume') !== true)
        throw new Error(`session ${sessionId} began again instead of going on`)
      return { fault: at, gone: await gone, at: stampsOf(field, sessionId) }
    }),
  )
  await done
  return recoveries
}

function stampsOf(field: Field, sessionId: string): Recovery['at'] {
  const events = field.ledger.events(sessionId)
  return (type, nth = 1) => {
    const event = events.filter((one) => one.type === type)[nth - 1]
    if (event === undefined) throw new Error(`session ${sessionId} has no ${type} number ${nth}`)
    return Date.parse(event.ts)
  }
}

const nextOf = ({ at }: Recovery): number => at('drover.agent.started', 2)
const stalledOf = ({ at }: Recovery): number => at('drover.agent.stalled')

/** When the kernel gives the lock away that the agent and all that it has started hold open. */
async function untilGone(field: Field, agentId: string): Promise<number> {
  await promisify(execFile)('flock', [join(field.witnessDir, `${agentId}.tree`), 'true'], {
    timeout: GONE_TIMEOUT_MS,
  })
  return Date.now()
}

const most = (value: number): Goal => ({ op: '<=', value, always: true })

const medianOf = (recoveries: readonly Recovery[], value: (recovery: Recovery) => number): number =>
  median(recoveries.map(value))

function row(
  title: string,
  recoveries: readonly Recovery[],
  value: (recovery: Recovery) => number,
  goal: Goal | null,
  details: readonly Detail[] = [],
): Result {
  return { bench: 'recovery', title, unit: 'ms', measured: summarize(recoveries.map(value)), goal, details }
}

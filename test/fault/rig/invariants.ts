/**
 * The always-on invariants (reliability.md §6): what must hold after any fault. Everything is taken from the witness,
 * the kernel, the spool files and plain SQL, never from the product's own opinion of itself.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SESSION_TRANSITIONS, isEnded, type SessionState } from '../../../src/core/state.ts'
import { isTreeAlive } from '../../support/fake-claude.ts'
import { until } from '../../support/until.ts'
import type { Field } from './field.ts'
import type { AgentRow, EventRow } from './ledger.ts'
import { BUSY_THAW_LIMIT_MS, livesOf, overlapsOf } from './lives.ts'
import { descendantsOf, environmentOf, isAlive, readTable } from './processes.ts'

/** How long anything of an ended session may live. */
const GONE_MS = 2000

/** What was checked; the soak prints it. */
export interface InvariantFigures {
  readonly sessions: number
  readonly agents: number
  readonly events: number
  /** Overlaps of an agent that had just been thawed, within their bound. */
  readonly thawedOverlaps: number
  readonly worstThawedMs: number
  readonly lateEvents: number
  readonly tailsUnknown: number
}

export interface InvariantReport {
  /** One sentence each, with ids; empty is right. */
  readonly breaches: readonly string[]
  readonly figures: InvariantFigures
}

/** Waits until the field has settled and checks everything. Throws with all breaches. */
export async function checkInvariants(
  field: Field,
  options: { timeoutMs?: number } = {},
): Promise<InvariantFigures> {
  const report = await findBreaches(field, options)
  if (report.breaches.length > 0) {
    throw new Error(
      [`seed ${field.seed}: ${report.breaches.length} breaches`, ...report.breaches].join('\n  '),
    )
  }
  return report.figures
}

/** As `checkInvariants`, for whoever wants to go on: the soak, planted bugs. */
export async function findBreaches(
  field: Field,
  { timeoutMs }: { timeoutMs?: number } = {},
): Promise<InvariantReport> {
  const unsettled = await field.settled(timeoutMs).then(
    () => [],
    (error: unknown) => [`I3: the field does not settle: ${String(error)}`],
  )
  const { ledger } = field
  const sessions = ledger.sessions()
  const agents = ledger.agents()
  const histories = new Map(sessions.map(({ session_id: id }) => [id, ledger.events(id)]))
  const overlaps = overlapsOf(field.witness(), field.freezes, BUSY_THAW_LIMIT_MS)
  const thawed = overlaps.filter((overlap) => overlap.thawed)
  const breaches = [
    ...unsettled,
    ...overlaps
      .filter((overlap) => !overlap.thawed)
      .map(
        ({ agentType, agents: [a, b], ms, seenBy }) =>
          `I1: ${a} and ${b} of type ${agentType} ran together (${Math.round(ms)} ms, seen by ${seenBy})`,
      ),
    ...acceptedBreaches(field, histories),
    ...[...histories].flatMap(([id, events]) => historyBreaches(id, events)),
    ...startBreaches(field, agents, histories),
    ...agents.flatMap((agent) => lineBreaches(field, agent, histories.get(agent.session_id) ?? [])),
    ...incompleteBreaches(field, agents),
    ...ledger
      .faults()
      .map((fault) => `I5: not recorded (${fault.session_id ?? 'no session'}): ${fault.reason}`),
    ...(await processBreaches(field)),
  ]
  return {
    breaches,
    figures: {
      sessions: sessions.length,
      agents: agents.length,
      events: [...histories.values()].reduce((sum, events) => sum + events.length, 0),
      thawedOverlaps: thawed.length,
      worstThawedMs: Math.max(0, ...thawed.map((overlap) => overlap.ms)),
      lateEvents: [...histories.values()].flat().filter((event) => event.late === 1).length,
      tailsUnknown: agents.filter((agent) => agent.tail_unknown === 1).length,
    },
  }
}

/** I3: acknowledged and terminal sessions are the same set. */
function acceptedBreaches(field: Field, histories: ReadonlyMap<string, readonly EventRow[]>): string[] {
  const lost = field.accepted
    .filter((id) => !histories.has(id))
    .map((id) => `I3: ${id} was acknowledged and is lost`)
  const accepted = new Set(field.accepted)
  const foreign = [...histories.keys()].filter((id) => !accepted.has(id))
  return [...lost, ...foreign.map((id) => `I3: ${id} is in the ledger and was never acknowledged`)]
}

/** I3 and I4 in one session's events, in the order in which they happened. */
function historyBreaches(id: string, events: readonly EventRow[]): string[] {
  const breaches: string[] = []
  let state: SessionState | null = null
  let epoch = 0
  for (const [index, event] of events.entries()) {
    if (event.seq !== index + 1) {
      breaches.push(`I5: ${id} has seq ${event.seq} where ${index + 1} belongs`)
      break
    }
    if (event.epoch < epoch && event.agent_id !== null && event.late === 0) {
      breaches.push(
        `I4: ${id} seq ${event.seq}: ${event.type} of ${event.agent_id}, which was superseded, is not late`,
      )
    }
    const next = event.late === 1 ? null : stateAfter(event)
    if (next === null) continue
    if (event.type === 'drover.agent.spawned') {
      if (event.epoch <= epoch)
        breaches.push(`I2: ${id} seq ${event.seq}: epoch ${event.epoch} follows ${epoch}`)
      epoch = event.epoch
    }
    if (state !== null && isEnded(state)) {
      breaches.push(`I4: ${id} seq ${event.seq}: ${event.type} after its end (${state})`)
    } else if (state !== null && state !== next && !mayFollow(state, next)) {
      breaches.push(`I3: ${id} seq ${event.seq}: ${next} cannot follow ${state}`)
    }
    state = next
  }
  const ends = events.filter((event) => event.type === 'drover.session.ended').length
  if (ends !== 1) breaches.push(`I3: ${id} has ${ends} ends`)
  return breaches
}

/** A hand-over leaves no event of its own: the session is queued for a moment. */
function mayFollow(state: SessionState, next: SessionState): boolean {
  const direct = SESSION_TRANSITIONS[state].includes(next)
  return (
    direct || (SESSION_TRANSITIONS[state].includes('queued') && SESSION_TRANSITIONS.queued.includes(next))
  )
}

/** The state that an event puts its session into; null for one that changes none. */
function stateAfter({ type, payload }: EventRow): SessionState | null {
  switch (type) {
    case 'drover.session.accepted':
      return 'queued'
    case 'drover.agent.spawned':
      return 'starting'
    case 'drover.agent.started':
      return 'running'
    case 'drover.session.restarting':
      return 'restarting'
    case 'drover.session.paused_limit':
      return 'paused_limit'
    case 'drover.session.waiting_input':
      return 'waiting_input'
    case 'drover.session.ended':
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the event promises
      return (JSON.parse(payload) as { status: SessionState }).status
    default:
      return null
  }
}

/** I2 and I4 against the witness: who really ran had an epoch, in order, and none ran for an ended session. */
function startBreaches(
  field: Field,
  agents: readonly AgentRow[],
  histories: ReadonlyMap<string, readonly EventRow[]>,
): string[] {
  const byId = new Map(agents.map((agent) => [agent.agent_id, agent]))
  const latest = new Map<string, AgentRow>()
  const starts = field.witness().filter((record) => record.kind === 'start')
  const twice = starts
    .filter((record, index) => starts.findIndex((other) => other.agent_id === record.agent_id) !== index)
    .map((record) => `I2: ${record.agent_id} was started twice`)
  const wrong = livesOf(starts).flatMap((life) => {
    const agent = byId.get(life.agentId)
    if (agent === undefined) return [`I4: ${life.agentId} ran and is not in the ledger`]
    const before = latest.get(agent.agent_type)
    latest.set(agent.agent_type, agent)
    const spawned = (histories.get(agent.session_id) ?? []).some(
      (event) => event.type === 'drover.agent.spawned' && event.agent_id === agent.agent_id,
    )
    return [
      ...(spawned ? [] : [`I4: ${life.agentId} ran without having been recorded first`]),
      ...(before !== undefined && before.epoch >= agent.epoch
        ? [
            `I2: ${agent.agent_id} (epoch ${agent.epoch}) started after ${before.agent_id} (epoch ${before.epoch})`,
          ]
        : []),
    ]
  })
  return [...twice, ...wrong]
}

/** I5 and I9: what the ledger has of an agent is what its spool holds. */
function lineBreaches(field: Field, agent: AgentRow, history: readonly EventRow[]): string[] {
  const who = `${agent.agent_id} of ${agent.session_id}`
  const lines = history.filter((event) => event.agent_id === agent.agent_id && event.line !== null)
  const gap = lines.findIndex((event, index) => event.line !== index + 1)
  if (gap >= 0) return [`I5: ${who} has line ${lines[gap]?.line} where ${gap + 1} belongs`]
  const spool = spoolOf(field, agent)
  if (spool === null) {
    return lines.length === 0 ? [] : [`I5: ${who} has ${lines.length} lines in the ledger and no spool`]
  }
  const text = spool.toString('utf8')
  const printed = text.split('\n')
  if (printed.at(-1) === '') printed.pop()
  const breaches: string[] = []
  if (lines.length > printed.length || (lines.length < printed.length && agent.tail_unknown === 0)) {
    breaches.push(
      `I5: ${who} printed ${printed.length} lines, the ledger has ${lines.length} and no mark of it`,
    )
  }
  const different = lines.findIndex(
    (event, index) => !event.payload.includes('[redacted:') && !isSameLine(event, printed[index] ?? ''),
  )
  if (different >= 0) breaches.push(`I5: line ${different + 1} of ${who} is not what it printed`)
  if (
    agent.spool_sha256 !== null &&
    agent.spool_sha256 !== createHash('sha256').update(spool).digest('hex')
  ) {
    breaches.push(`I5: the closing digest of ${who} is not its spool's`)
  }
  const cost = costOf(printed.slice(0, lines.length))
  if (cost > 0 && cost !== agent.billed_micros) {
    breaches.push(`I9: ${who} reported ${cost} micro-dollars, the ledger has ${agent.billed_micros}`)
  }
  return breaches
}

function spoolOf(field: Field, agent: AgentRow): Buffer | null {
  const file = field.pods
    .map((pod) => join(pod.dataDir, 'sessions', agent.session_id, 'agents', agent.agent_id, 'stdout.ndjson'))
    .find((path) => existsSync(path))
  return file === undefined ? null : readFileSync(file)
}

/**
 * Verbatim but for a byte order mark, or the text of what is no JSON object; of a line beyond the limit only length
 * and digest are kept.
 */
function isSameLine({ type, payload }: EventRow, line: string): boolean {
  const printed = line.startsWith('\uFEFF') ? line.slice(1) : line
  if (payload === printed || type === 'claude.oversize') return true
  const parsed: unknown = JSON.parse(payload)
  return (
    typeof parsed === 'object' && parsed !== null && 'raw' in parsed && printed.startsWith(String(parsed.raw))
  )
}

/** More is no cost (docs/outcomes.md): it is flagged, not summed. */
const MOST_USD = 100_000

/** Micro-dollars over all results: what the child itself says it cost. */
function costOf(lines: readonly string[]): number {
  const results = lines
    .filter((line) => line.includes('"type":"result"'))
    .flatMap((line) => parsed(line) ?? [])
  return results
    .flatMap((result) => Object.values(result.model_usage_since_last_result ?? {}))
    .filter(({ costUSD }) => typeof costUSD === 'number' && costUSD >= 0 && costUSD <= MOST_USD)
    .reduce((sum, usage) => sum + Math.round(usage.costUSD * 1_000_000), 0)
}

interface ResultLine {
  readonly model_usage_since_last_result?: Readonly<Record<string, { readonly costUSD: number }>>
}

function parsed(line: string): ResultLine | null {
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the fake's own lines
    return JSON.parse(line) as ResultLine
  } catch {
    return null
  }
}

/** Loss is loud, and only loss is. */
function incompleteBreaches(field: Field, agents: readonly AgentRow[]): string[] {
  return field.ledger.sessions().flatMap((session) => {
    const own = agents.filter((agent) => agent.session_id === session.session_id)
    const unknown = own.some((agent) => agent.tail_unknown === 1 || agent.open_gaps > 0)
    return session.incomplete === 1 && !unknown
      ? [`I5: ${session.session_id} is incomplete, but no agent says why`]
      : []
  })
}

/** I6: nothing of an ended session lives, no guard without its worker, no zombie. */
async function processBreaches(field: Field): Promise<string[]> {
  let left: string[] = []
  await until(
    () => {
      left = survivors(field)
      return left.length === 0
    },
    { timeoutMs: GONE_MS },
  ).catch(() => undefined)
  return left.map((what) => `I6: ${what}`)
}

function survivors(field: Field): string[] {
  const ended = new Set(
    field.ledger
      .sessions()
      .filter(({ status }) => status === 'completed' || status === 'failed' || status === 'cancelled')
      .map((session) => session.session_id),
  )
  const table = readTable()
  const processes = table.flatMap(({ pid }) => {
    const environment = environmentOf(pid)
    // Derived from its key, a session's id is the same in another field of this seed.
    if (environment.get('DROVER_TEST_MARK') !== field.scratch.dir) return []
    const sessionId = environment.get('DROVER_SESSION_ID') ?? ''
    return ended.has(sessionId) && isAlive(pid) ? [`process ${pid} of ended session ${sessionId} lives`] : []
  })
  const trees = field.ledger
    .agents()
    .filter((agent) => ended.has(agent.session_id) && isTreeAlive(field.witnessDir, agent.agent_id))
    .map((agent) => `something that ${agent.agent_id} of ended session ${agent.session_id} started lives`)
  const zombies = field.pods
    .flatMap((pod) => descendantsOf(pod.pid, table).map((row) => ({ ...row, pod: pod.id })))
    .filter((row) => row.state === 'Z')
    .map((row) => `process ${row.pid} of ${row.pod} is a zombie`)
  const guards = field.pods.flatMap((pod) =>
    pod.strayGuards().map((guard) => `guard ${guard} of ${pod.id} lives without its worker`),
  )
  return [...processes, ...trees, ...zombies, ...guards]
}

/**
 * Safety, looked at all the time: two agents of a type at once, and whatever lives of a session that has ended. The
 * full check comes at the end; here a breach is found while its cause can still be seen.
 */
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Field } from '../fault/rig/field.ts'
import { overlapsOf } from '../fault/rig/lives.ts'
import { environmentOf, isAlive, readTable } from '../fault/rig/processes.ts'
import { isEnded as isEndState } from '../../src/core/state.ts'
import { isTreeAlive, type WitnessRecord } from '../support/fake-claude.ts'

export interface Watch {
  /** What was seen so far, one sentence each. */
  readonly breaches: readonly string[]
  /** Aborts with the first of them. */
  readonly alarm: AbortSignal
  /** Whether the ledger has its end. */
  isEnded(sessionId: string): boolean
  /** Every agent's start, last sign of life and violations: all that `overlapsOf` needs. */
  witness(): WitnessRecord[]
  stop(): void
}

const LOOK_MS = 250
/** Who has shown no sign of life for so long is dead, or frozen: then it is looked at again when it is thawed. */
const RECENT_MS = 20_000
/** A lock that was taken is looked at for so long: whoever held it, also frozen (7 s at most), is among the recent. */
const VIOLATION_MS = 10_000
/** How long anything of an ended session may live (P2), and a look. */
const GONE_MS = 2000 + LOOK_MS

export function startWatch(field: Field): Watch {
  const reader = createWitnessReader(field.witnessDir)
  const found = new Set<string>()
  const alarm = new AbortController()
  /** Sessions that have ended, and when that was seen; null when what is left of them was looked for. */
  const ended = new Map<string, number | null>()

  function breach(sentence: string): void {
    if (found.has(sentence)) return
    found.add(sentence)
    alarm.abort()
  }

  function look(): void {
    reader.read()
    for (const { agents, agentType, ms, thawed } of overlapsOf(
      reader.records(field.now() - RECENT_MS),
      field.freezes,
    )) {
      if (!thawed)
        breach(`I1: ${agents.join(' and ')} of type ${agentType} ran together (${Math.round(ms)} ms)`)
    }
    const now = field.now()
    for (const { session_id: id, status } of field.ledger.sessions()) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the ledger's CHECK allows no other
      if (!ended.has(id) && isEndState(status as Parameters<typeof isEndState>[0])) ended.set(id, now)
    }
    for (const [id, since] of ended) {
      if (since === null || now - since < GONE_MS) continue
      const frozen = frozenAgents(field, now)
      const agents = field.ledger.agents(id).map((agent) => agent.agent_id)
      // A pod that is frozen keeps what it had until it is thawed.
      if (agents.some((agent) => frozen.has(agent))) continue
      ended.set(id, null)
      for (const what of survivorsOf(field, id, agents)) breach(what)
    }
  }

  const timer = setInterval(() => {
    try {
      look()
    } catch {
      // The ledger is being opened or recovered by a board that starts: the next look sees it.
    }
  }, LOOK_MS)

  return {
    get breaches() {
      return [...found]
    },
    alarm: alarm.signal,
    isEnded: (sessionId) => ended.has(sessionId),
    witness() {
      reader.read()
      return reader.records()
    },
    stop: () => clearInterval(timer),
  }
}

function frozenAgents(field: Field, now: number): Set<string> {
  const open = field.freezes.filter(({ to }) => to === null || now - to < GONE_MS)
  return new Set(open.flatMap(({ agentIds }) => agentIds))
}

function survivorsOf(field: Field, sessionId: string, agents: readonly string[]): string[] {
  const processes = readTable()
    .filter(({ pid }) => {
      const environment = environmentOf(pid)
      // Derived from its key, a session's id is the same in another run of this seed.
      const isOurs = environment.get('DROVER_TEST_MARK') === field.scratch.dir
      return isOurs && environment.get('DROVER_SESSION_ID') === sessionId && isAlive(pid)
    })
    .map(({ pid }) => `I6: process ${pid} of ended session ${sessionId} lives`)
  const trees = agents
    .filter((agent) => isTreeAlive(field.witnessDir, agent))
    .map((agent) => `I6: something that ${agent} of ended session ${sessionId} started lives`)
  return [...processes, ...trees]
}

/** Reads what was appended to the witness' files, and keeps of each agent what counts. */
function createWitnessReader(dir: string): { read(): void; records(since?: number): WitnessRecord[] } {
  const offsets = new Map<string, number>()
  const first = new Map<string, WitnessRecord>()
  const last = new Map<string, WitnessRecord>()
  const violations: WitnessRecord[] = []

  function take(record: WitnessRecord): void {
    if (record.kind === 'violation') violations.push(record)
    const life = lifeOf(record)
    if (!first.has(life)) first.set(life, record)
    last.set(life, record)
  }

  return {
    read() {
      for (const name of readdirSync(dir).filter((file) => file.endsWith('.ndjson'))) {
        const from = offsets.get(name) ?? 0
        const text = readFrom(join(dir, name), from)
        const end = text.lastIndexOf('\n') + 1
        offsets.set(name, from + Buffer.byteLength(text.slice(0, end)))
        for (const line of text.slice(0, end).split('\n').slice(0, -1)) {
          // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the witness' own lines
          take(JSON.parse(line) as WitnessRecord)
        }
      }
    },
    records(since = 0) {
      const recent = (record: WitnessRecord): boolean =>
        Number(last.get(lifeOf(record))?.mono_ns) / 1e6 >= since
      const taken = violations.filter(
        ({ mono_ns: at }) => since === 0 || Number(at) / 1e6 >= since + RECENT_MS - VIOLATION_MS,
      )
      // One that died at once has its first and its last in one.
      return [...new Set([...first.values(), ...last.values()].filter(recent)), ...taken].toSorted((a, b) =>
        Number(BigInt(a.mono_ns) - BigInt(b.mono_ns)),
      )
    },
  }
}

/** After a loss of Redis an agent's id may be given again: for another session. */
const lifeOf = ({ session_id: session, agent_id: agent }: WitnessRecord): string => `${session} ${agent}`

function readFrom(file: string, offset: number): string {
  const size = statSync(file).size - offset
  if (size <= 0) return ''
  const bytes = Buffer.alloc(size)
  const fd = openSync(file, 'r')
  try {
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, size, offset))
  } finally {
    closeSync(fd)
  }
}

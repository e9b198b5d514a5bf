/**
 * The guard's work: commands in, agents started and ended, reports out. It has no Redis, no secret and no opinion:
 * it kills what its deadline, its worker's death or a command says, and leaves nothing.
 */
import type { Readable, Writable } from 'node:stream'
import type { Clock } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import { startAgent, type Agent } from './agent.ts'
import { readLines } from './lines.ts'
import { readProcesses } from './process-table.ts'
import {
  parseCommand,
  PROTOCOL_LINE_LIMIT_BYTES,
  type Command,
  type RefusalCode,
  type Report,
  type StartCommand,
} from './protocol.ts'
import type { TierChoice } from './try-tiers.ts'

/** How often deadlines are looked at: far below the lease's margin of seconds. */
const TICK_MS = 50
/** Unread reports of this size mean that the worker does not read: samples are left out, ends never are. */
const BACKLOG_LIMIT_BYTES = 1024 * 1024

/** What a guard runs on. */
export interface GuardContext {
  readonly commands: Readable
  readonly reports: Writable
  readonly heartbeatMs: number
  readonly choice: TierChoice
  readonly clock: Clock
}

/** Serves one worker. Resolves when the worker is gone or said `stop`, and every agent has ended. */
export async function runGuard(context: GuardContext): Promise<void> {
  const { commands, reports, clock } = context
  const { tier, tries } = context.choice
  const agents = new Map<string, Agent>()
  const starts = new Map<string, Promise<void>>()
  let stopping = false

  const report = (value: Report): void => {
    if (value.event === 'sample' && reports.writableLength > BACKLOG_LIMIT_BYTES) return
    reports.write(`${JSON.stringify(value)}\n`)
  }
  const refuse = (op: string, agentId: string | null, code: RefusalCode, message: string): void =>
    report({ event: 'refused', agent_id: agentId, op, code, message })

  const start = async (command: StartCommand): Promise<void> => {
    const { op, agent_id: id } = command
    if (clock.monotonic() >= command.deadline) {
      return refuse(op, id, 'too_late', `The deadline of agent ${id} had passed before its start.`)
    }
    try {
      const agent = await startAgent(command, { tier, clock, report })
      agents.set(id, agent)
      void agent.ended.then(() => agents.delete(id))
      if (stopping) agent.killNow('worker_gone')
    } catch (error) {
      refuse(op, id, 'spawn_failed', messageOf(error))
    }
  }
  const obey = (command: Command, agent: Agent | undefined): void => {
    if (command.op === 'start') {
      const { op, agent_id: id } = command
      if (agent !== undefined || starts.has(id)) {
        return refuse(op, id, 'spawn_failed', `An agent ${id} runs already.`)
      }
      starts.set(
        id,
        start(command).finally(() => starts.delete(id)),
      )
      return
    }
    if (command.op === 'stop') return end()
    if (agent === undefined) return refuseUnknown(command)
    switch (command.op) {
      case 'deadline':
        if (!agent.extend(command.deadline)) return refuseUnknown(command)
        return report({ event: 'ack', agent_id: command.agent_id, deadline: command.deadline })
      case 'input':
        if (agent.input(command.line)) return
        return refuse(command.op, command.agent_id, 'input_refused', 'The agent does not read its input.')
      case 'close_input':
        return agent.closeInput()
      case 'kill':
        return agent.kill(command.grace_ms)
    }
  }
  const refuseUnknown = ({ op, agent_id: id }: Exclude<Command, { op: 'stop' }>): void =>
    refuse(op, id, 'unknown_agent', `There is no live agent ${id}.`)

  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  readLines(
    commands,
    PROTOCOL_LINE_LIMIT_BYTES,
    (line) => {
      const parsed = parseCommand(line)
      if ('refusal' in parsed) return report(parsed.refusal)
      obey(parsed.command, 'agent_id' in parsed.command ? agents.get(parsed.command.agent_id) : undefined)
    },
    () => refuse('', null, 'invalid_command', 'The line is too long.'),
  )
  // The worker is gone, however it went: nobody holds the other end any more.
  for (const event of ['end', 'close', 'error']) commands.once(event, () => end())
  reports.on('error', () => end())

  const ticking = setInterval(() => {
    const now = clock.monotonic()
    for (const agent of agents.values()) agent.tick(now)
  }, TICK_MS)
  const sampling = setInterval(() => {
    if (agents.size === 0) return
    const table = readProcesses()
    for (const agent of agents.values()) agent.sample(table)
  }, context.heartbeatMs)

  report({ event: 'ready', pid: process.pid, tier: tier.name, tries })
  await ended
  stopping = true
  for (const agent of agents.values()) agent.killNow('worker_gone')
  await Promise.all(starts.values())
  await Promise.all([...agents.values()].map((agent) => agent.ended))
  clearInterval(ticking)
  clearInterval(sampling)
}

/** What a soak is asked to do, and the one command that asks for the same again. */
import { parseArgs } from 'node:util'
import type { FieldTimes } from '../fault/rig/field.ts'
import { FAULT_KINDS, isFaultKind, type FaultKind } from './fault-kinds.ts'

export interface SoakOptions {
  readonly seed: number
  /** Chaos takes four fifths of them; healing and the checks come on top. */
  readonly minutes: number
  readonly pods: number
  /** Agent types, each with a queue and a lease of its own. */
  readonly agents: number
  /** How many times faster than real time. */
  readonly scale: number
  /** `some`: a subset by the seed. */
  readonly faults: 'some' | readonly FaultKind[]
  readonly json: boolean
}

export const USAGE = `Usage: npm run soak -- [--seed N] [--minutes M] [--pods P] [--agents A] [--scale S] [--faults LIST] [--json]

  --seed     repeats schedule and inputs; a fresh one by default
  --minutes  of work and faults; 5
  --pods     3
  --agents   agent types; 6
  --scale    times faster than real time; 20
  --faults   all, none, or some of ${FAULT_KINDS.join(',')};
             by default a subset that the seed chooses
  --json     one JSON document on stdout, everything else on stderr
`

/** null asks for the usage. Throws a sentence for what is none. */
export function readOptions(args: readonly string[]): SoakOptions | null {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: text,
      minutes: text,
      pods: text,
      agents: text,
      scale: text,
      faults: text,
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help === true) return null
  return {
    seed: numberOf('seed', values.seed, Math.floor(Math.random() * 2 ** 31), Number.isSafeInteger),
    minutes: numberOf('minutes', values.minutes, 5, (value) => value > 0),
    pods: numberOf('pods', values.pods, 3, isCount),
    agents: numberOf('agents', values.agents, 6, isCount),
    scale: numberOf('scale', values.scale, 20, (value) => value > 0),
    faults: faultsOf(values.faults),
    json: values.json === true,
  }
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value > 0

function numberOf(
  name: string,
  text: string | undefined,
  otherwise: number,
  isOne: (n: number) => boolean,
): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (text.trim() === '' || !isOne(value)) throw new Error(`--${name} ${text} is out of range.`)
  return value
}

function faultsOf(text: string | undefined): SoakOptions['faults'] {
  if (text === undefined) return 'some'
  if (text === 'all') return FAULT_KINDS
  if (text === 'none') return []
  return text.split(',').map((name) => {
    if (!isFaultKind(name))
      throw new Error(`There is no fault "${name}"; there are ${FAULT_KINDS.join(', ')}.`)
    return name
  })
}

/**
 * Milliseconds. At 20 the defaults of the fault rig: everything a twentieth, but the lease a little longer, because a
 * margin of 250 ms would measure the machine's scheduler and not Drover.
 */
export function timesOf(scale: number): FieldTimes {
  const at = (ms: number): number => Math.round((ms * 20) / scale)
  return {
    ttlMs: at(2400),
    renewMs: at(400),
    marginMs: at(600),
    heartbeatMs: at(150),
    stallMs: at(3000),
    backoffMs: at(100),
    killGraceMs: at(500),
    endGraceMs: at(500),
  }
}

/** The command that repeats a run: its schedule and its inputs. */
export function commandOf({ seed, minutes, pods, agents, scale, faults }: SoakOptions): string {
  const chosen = faults === 'some' ? [] : ['--faults', faults.join(',') || 'none']
  return ['npm run soak -- --seed', seed, '--minutes', minutes, '--pods', pods]
    .concat(['--agents', agents, '--scale', scale, ...chosen])
    .join(' ')
}

import { describe, expect, test } from 'vitest'
import {
  AGENT_STATES,
  AGENT_TRANSITIONS,
  FAILURE_REASONS,
  isEnded,
  SESSION_STATES,
  SESSION_TRANSITIONS,
  sessionStatesBefore,
  TASK_STATES,
  TASK_TRANSITIONS,
} from '../../src/core/state.ts'
import { readDoc, tableRows } from './tables.ts'

interface Machine {
  readonly name: string
  readonly states: readonly string[]
  readonly transitions: Readonly<Record<string, readonly string[]>>
  /** As CONTRACT §1 lists them. */
  readonly contract: string
  readonly ends: readonly string[]
}

const machines: readonly Machine[] = [
  {
    name: 'Session',
    states: SESSION_STATES,
    transitions: SESSION_TRANSITIONS,
    contract:
      'queued starting running completed failed cancelled restarting paused_limit waiting_input waiting_workspace',
    ends: ['completed', 'failed', 'cancelled'],
  },
  {
    name: 'Agent',
    states: AGENT_STATES,
    transitions: AGENT_TRANSITIONS,
    contract: 'spawned running completed failed killed stalled superseded',
    ends: ['completed', 'failed', 'killed', 'stalled', 'superseded'],
  },
  {
    name: 'Task',
    states: TASK_STATES,
    transitions: TASK_TRANSITIONS,
    contract: 'pending spawned running completed failed cancelled blocked',
    ends: ['completed'],
  },
]

const doc = readDoc('state-machines.md')

/** What the document says of one machine: its section, its diagram's arrows, its table. */
function documented(name: string) {
  const section = doc.split(/^## /m).find((part) => part.startsWith(`${name}\n`)) ?? ''
  const diagram = /```mermaid\nstateDiagram-v2\n([^`]*)```/.exec(section)?.[1] ?? ''
  const arrows = [...diagram.matchAll(/^ {2}(\S+) --> (\S+)$/gm)].map(([, from, to]) => ({ from, to }))
  expect(arrows, 'every line of the diagram is an arrow').toHaveLength(diagram.trim().split('\n').length)
  return { arrows, states: tableRows(section, 'state').map((row) => row['state']) }
}

describe.each(machines)('$name', ({ name, states, transitions, contract, ends }) => {
  test("has the contract's states", () => {
    expect(states.toSorted()).toEqual(contract.split(' ').toSorted())
    expect(Object.keys(transitions).toSorted()).toEqual(states.toSorted())
  })

  test('has the transitions of the diagram, no more and no fewer', () => {
    const { arrows } = documented(name)
    const inner = arrows.filter(({ from, to }) => from !== '[*]' && to !== '[*]')
    const coded = states.flatMap((from) => (transitions[from] ?? []).map((to) => ({ from, to })))
    const text = (list: typeof inner) => list.map(({ from, to }) => `${from} --> ${to}`).toSorted()
    expect(text(inner)).toEqual(text(coded))
  })

  test('starts where the diagram starts and ends where it ends', () => {
    const { arrows } = documented(name)
    expect(arrows.filter(({ from }) => from === '[*]')).toEqual([{ from: '[*]', to: states[0] }])
    const ended = arrows.filter(({ to }) => to === '[*]').map(({ from }) => from ?? '')
    expect(ended.toSorted()).toEqual(ends.toSorted())
  })

  test('never leaves an end', () => {
    expect(states.filter((state) => transitions[state]?.length === 0).toSorted()).toEqual(ends.toSorted())
  })

  test('reaches every state from its first one', () => {
    const reached = new Set<string>([states[0] ?? ''])
    for (const state of reached) for (const next of transitions[state] ?? []) reached.add(next)
    expect([...reached].toSorted()).toEqual(states.toSorted())
  })

  test('can end from every state', () => {
    const canEnd = new Set(ends)
    for (const _ of states) {
      for (const state of states) if (transitions[state]?.some((next) => canEnd.has(next))) canEnd.add(state)
    }
    expect([...canEnd].toSorted()).toEqual(states.toSorted())
  })

  test('says in the document what each state means', () => {
    expect(documented(name).states).toEqual(states)
  })
})

test('a session ends as completed, failed or cancelled', () => {
  expect(SESSION_STATES.filter(isEnded)).toEqual(['completed', 'failed', 'cancelled'])
})

test('a guarded update names the states that may come before', () => {
  expect(sessionStatesBefore('running')).toEqual(['starting', 'waiting_input'])
  expect(sessionStatesBefore('cancelled')).toEqual(SESSION_STATES.filter((state) => !isEnded(state)))
})

test('every failure reason is explained in docs/outcomes.md, and no other', () => {
  const explained = tableRows(readDoc('outcomes.md'), 'failure_reason').map((row) => row['failure_reason'])
  expect(explained).toEqual([...FAILURE_REASONS])
})

import { expect, test } from 'vitest'
import type { PodRow } from '../../src/core/pod-row.ts'
import { createOutput } from '../../src/cli/output.ts'
import { podNotes, podsText, whyQueued } from '../../src/cli/show-pods.ts'

const output = createOutput({ stdout: process.stdout, stderr: process.stderr, env: {}, json: false })
const READY: PodRow = {
  pod_id: 'pod-1',
  state: 'ready',
  why: null,
  host: 'host',
  pid: 12,
  version: '0.1.0',
  agent_types: ['architect', 'code_developer'],
  tier: 'pidns',
  max_sessions: null,
  running: 1,
  free_cpu_percent: 71.6,
  free_memory_mb: 2000.4,
  started_at: '2026-01-31T08:00:00.000Z',
  beat_at: '2026-01-31T08:00:00.000Z',
}
const WHY = 'Too little is free: 7 % of the CPU free, 20 are needed.'
const FULL: PodRow = { ...READY, pod_id: 'pod-2', state: 'no_room', why: WHY, max_sessions: 4, running: 4 }

test('a table, and below it why one takes nothing', () => {
  expect(podsText([READY, FULL], { ...output, width: 120 }).split('\n')).toEqual([
    'pod    state    sessions  free cpu  free memory  agent types',
    'pod-1  ready    1         72 %      2000 MB      architect, code_developer',
    'pod-2  no_room  4 of 4    72 %      2000 MB      architect, code_developer',
    '',
    `pod-2 takes no session: ${WHY}`,
  ])
})

test('no pod at all is said, with what brings one', () => {
  expect(podsText([], output)).toMatch(/^No pod is there.*drover worker/)
  expect(podNotes([])).toEqual([podsText([], output)])
})

test('what a pod says of itself moves no cursor; a pod that starts has nothing to say', () => {
  expect(
    podNotes([
      { ...FULL, why: '\u001B[2Jgone' },
      { ...READY, state: 'starting' },
    ]),
  ).toEqual(['pod-2 takes no session: ␛[2Jgone'])
})

test('a queued session waits for its turn, for room, or for a pod that serves its type', () => {
  expect(whyQueued([READY, FULL], 'architect')).toEqual([])
  expect(whyQueued([FULL], 'architect')).toEqual([`pod-2 takes no session: ${WHY}`])
  expect(whyQueued([READY], 'project_manager')).toEqual(['No pod serves project_manager, so it waits.'])
  expect(whyQueued([], 'architect')).toEqual(podNotes([]))
})

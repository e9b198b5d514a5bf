import { describe, expect, it } from 'vitest'
import {
  isDead,
  membersOf,
  readProcess,
  readProcesses,
  residentMb,
  type ProcessEntry,
} from '../../src/guard/process-table.ts'

/** No process has such a pid: nothing of them is in /proc, so nothing carries a mark. */
const BASE = 2 ** 30

const entry = (pid: number, parent: number, session: number): ProcessEntry => ({
  pid: BASE + pid,
  parent: BASE + parent,
  group: BASE + session,
  session: BASE + session,
  state: 'S',
  startTime: pid,
  cpuMs: 0,
})
const members = (table: readonly ProcessEntry[], session: number | null): number[] =>
  membersOf(table, 'no-such-mark', session === null ? null : BASE + session).map(({ pid }) => pid - BASE)

describe('members of an agent', () => {
  it('are its session and all that it started, however deep and in any order', () => {
    const table = [
      entry(40, 30, 30),
      entry(30, 20, 30),
      entry(20, 10, 10),
      entry(10, 1, 10),
      entry(50, 1, 50),
    ]
    expect(members(table, 10).toSorted((a, b) => a - b)).toEqual([10, 20, 30, 40])
  })

  it('are those that share a session with one of them, after their parent has ended', () => {
    const table = [entry(10, 1, 10), entry(30, 10, 30), entry(31, 1, 30)]
    expect(members(table, 10).toSorted((a, b) => a - b)).toEqual([10, 30, 31])
  })

  it('are none without a session and a mark', () => {
    expect(members([entry(10, 1, 10)], null)).toEqual([])
  })
})

describe('the process table of this host', () => {
  it('has this process, with its parent, its start and its memory', () => {
    const self = readProcess(process.pid)
    expect(self).toMatchObject({ pid: process.pid, parent: process.ppid, state: 'R' })
    expect(self?.startTime).toBeGreaterThan(0)
    expect(self?.cpuMs).toBeGreaterThan(0)
    expect(readProcesses().map(({ pid }) => pid)).toContain(process.pid)
    expect(Math.abs(residentMb(process.pid) - process.memoryUsage.rss() / 2 ** 20)).toBeLessThan(20)
  })

  it('has nothing of the kernel and nothing dead', () => {
    const table = readProcesses()
    expect(table.filter(isDead)).toEqual([])
    expect(table.filter(({ pid, parent }) => pid === 2 || parent === 2)).toEqual([])
  })

  it('knows no process that is not there', () => {
    expect(readProcess(BASE)).toBeNull()
    expect(residentMb(BASE)).toBe(0)
  })
})

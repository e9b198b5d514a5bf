import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findControlGroups } from '../../src/worker/control-groups.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'drover-groups-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const MB = 2 ** 20

/** Files below a directory of the test, which plays /proc/self and /sys/fs/cgroup. */
function write(files: Readonly<Record<string, string | number>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), `${text}\n`)
  }
}

const mount = (type: string, root: string, point: string, options: string): string =>
  `31 23 0:28 ${root} ${join(dir, point)} rw,relatime - ${type} ${type} ${options}`

test('version 2: the tightest limit from our group up to the top, page cache counted as free', async () => {
  write({
    cgroup: '0::/pods/one',
    mountinfo: mount('cgroup2', '/', 'fs', 'rw'),
    'fs/pods/memory.max': 1000 * MB,
    'fs/pods/memory.current': 900 * MB,
    'fs/pods/memory.stat': `anon 5\ninactive_file ${60 * MB}`,
    'fs/pods/cpu.max': 'max 100000',
    'fs/pods/one/memory.max': 'max',
    'fs/pods/one/memory.current': 300 * MB,
    'fs/pods/one/cpu.max': '150000 100000',
    'fs/pods/one/cpu.stat': 'usage_usec 2500000\nuser_usec 1',
  })
  expect(await (await findControlGroups(dir)).read()).toEqual({
    freeMemoryMb: 160,
    cpu: new Map([[join(dir, 'fs/pods/one'), { cores: 1.5, usedMs: 2500 }]]),
  })
})

test('version 1, in a container that sees its own group as the mount', async () => {
  write({
    cgroup: '4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n0::/',
    mountinfo: [
      mount('cgroup', '/docker/abc', 'memory', 'rw,memory'),
      mount('cgroup', '/docker/abc', 'cpu,cpuacct', 'rw,cpu,cpuacct'),
    ].join('\n'),
    'memory/memory.limit_in_bytes': 512 * MB,
    'memory/memory.usage_in_bytes': 412 * MB,
    'memory/memory.stat': `total_inactive_file ${12 * MB}`,
    'cpu,cpuacct/cpu.cfs_quota_us': 50_000,
    'cpu,cpuacct/cpu.cfs_period_us': 100_000,
    'cpu,cpuacct/cpuacct.usage': 3_000_000_000,
  })
  expect(await (await findControlGroups(dir)).read()).toEqual({
    freeMemoryMb: 112,
    cpu: new Map([[join(dir, 'cpu,cpuacct'), { cores: 0.5, usedMs: 3000 }]]),
  })
})

test('no limit, in both versions; and no control groups at all', async () => {
  const nothing = { freeMemoryMb: null, cpu: new Map() }
  expect(await (await findControlGroups(dir)).read()).toEqual(nothing)
  write({
    cgroup: '4:memory:/\n2:cpu:/\n3:cpuacct:/\n0::/',
    mountinfo: [
      mount('cgroup', '/', 'memory', 'rw,memory'),
      mount('cgroup', '/', 'cpu', 'rw,cpu'),
      mount('cgroup', '/', 'cpuacct', 'rw,cpuacct'),
      mount('cgroup2', '/', 'unified', 'rw'),
    ].join('\n'),
    'memory/memory.limit_in_bytes': '9223372036854771712',
    'memory/memory.usage_in_bytes': 412 * MB,
    'cpu/cpu.cfs_quota_us': -1,
    'cpu/cpu.cfs_period_us': 100_000,
    'cpuacct/cpuacct.usage': 3,
  })
  expect(await (await findControlGroups(dir)).read()).toEqual(nothing)
})

test('those of this machine can be read', async () => {
  const { freeMemoryMb } = await (await findControlGroups()).read()
  expect(freeMemoryMb ?? 1).toBeGreaterThan(0)
})

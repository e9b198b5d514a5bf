import { describe, expect, test } from 'vitest'
import { checkMemory, cliCheck, diskCheck, tierCheck } from '../../../src/cli/doctor/machine.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { PINNED_CLAUDE } from '../../../src/setup/claude-cli.ts'

const GIB = 1024 ** 3
const configOf = (env: Readonly<Record<string, string>> = {}) => loadConfig({ cwd: '/tmp', env }).config

describe('disk', () => {
  test.each([
    [5 * GIB, 1_000_000, 'ok'],
    [5 * GIB, null, 'ok'],
    [0.5 * GIB, 1_000_000, 'warn'],
    [0.05 * GIB, 1_000_000, 'fail'],
    [5 * GIB, 50_000, 'warn'],
    [5 * GIB, 10, 'fail'],
  ])('%d bytes and %s files free: %s', (bytes, files, status) => {
    const check = diskCheck('/data', bytes, files)
    expect(check.status).toBe(status)
    expect(check.fix === null).toBe(status === 'ok')
  })

  test('says both', () => {
    expect(diskCheck('/data', 5 * GIB, 123_456).value).toBe('5.0 GiB and 123456 files free in /data')
    expect(diskCheck('/data', 5 * GIB, null).value).toBe('5.0 GiB free in /data')
  })
})

test('memory: less than a pod needs to start an agent is a warning', () => {
  expect(checkMemory(configOf(), 500)).toMatchObject({ status: 'ok', value: '500 MB free' })
  expect(checkMemory(configOf(), 499)).toMatchObject({ status: 'warn', value: '499 MB free, 500 are needed' })
  expect(checkMemory(configOf({ DROVER_MIN_FREE_MEMORY_MB: '0' }), 1).status).toBe('ok')
})

test('the CLI: older than what is needed is a warning, newer than what was tested is said', () => {
  expect(cliCheck('/bin/claude', PINNED_CLAUDE)).toMatchObject({
    status: 'ok',
    value: `${PINNED_CLAUDE} at /bin/claude`,
  })
  expect(cliCheck('/bin/claude', '2.1.100')).toMatchObject({ status: 'warn' })
  expect(cliCheck('/bin/claude', '99.0.0').value).toMatch(/newer than the tested/)
})

describe('the guard', () => {
  const namespace = { tier: 'pid_namespace', works: true, why: 'by unshare' } as const
  const noNamespace = {
    tier: 'pid_namespace',
    works: false,
    why: 'unshare: Operation not permitted',
  } as const
  const cgroup = { tier: 'cgroup', works: true, why: 'delegated' } as const
  const group = { tier: 'group', works: true, why: 'by a group' } as const

  test('names the strongest tier that works', () => {
    expect(tierCheck([namespace, cgroup, group], 'none')).toEqual({
      name: 'guard',
      status: 'ok',
      value: 'pid_namespace (by unshare)',
      fix: null,
    })
    expect(tierCheck([noNamespace, cgroup, group], 'cgroup').status).toBe('ok')
  })

  test('the weakest one is a warning that says what is lost and how to get more', () => {
    const check = tierCheck([noNamespace, group], 'none')
    expect(check.status).toBe('warn')
    expect(check.value).toContain('Operation not permitted')
    expect(check.fix).toMatch(/may outlive its agent.*bubblewrap/)
  })

  test('less than what is required fails', () => {
    expect(tierCheck([noNamespace, group], 'pid_namespace')).toMatchObject({
      status: 'fail',
      fix: expect.stringContaining('guard.require_tier asks for pid_namespace') as string,
    })
  })
})

/** Agents under a real guard, for tests: the fake CLI or any program, in a directory of the test. */
import { mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { systemClock } from '../../src/core/clock.ts'
import { newSessionId } from '../../src/core/ids.ts'
import type { AgentLaunch } from '../../src/guard/client.ts'
import { userMessage } from '../../src/session/message.ts'
import { FAKE_CLAUDE, fakePrompt, type FakeScript } from './fake-claude.ts'
import { until } from './until.ts'

/** Far enough away for a test that is not about deadlines. */
export const LATER_MS = 120_000

/** Milliseconds from now, as a deadline. */
export const inMs = (ms: number): number => systemClock.monotonic() + ms

/** A launch of any program, with directories under `dir`. */
export function launchOf(dir: string, agentId: string, changes: Partial<AgentLaunch> = {}): AgentLaunch {
  const agentDir = join(dir, 'agents', agentId)
  const cwd = join(dir, 'workspace')
  for (const path of [agentDir, cwd]) mkdirSync(path, { recursive: true })
  return {
    agentId,
    sessionId: newSessionId(),
    file: '/bin/sh',
    args: [],
    cwd,
    env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, HOME: dir, TEST_DIR: dir },
    dir: agentDir,
    deadline: inMs(LATER_MS),
    input: '',
    ...changes,
  }
}

/** A launch of a shell script. */
export function launchOfShell(
  dir: string,
  agentId: string,
  script: string,
  changes: Partial<AgentLaunch> = {},
) {
  return launchOf(dir, agentId, { args: ['-c', script], ...changes })
}

/** A launch of the fake CLI. */
export function launchOfFake(
  dir: string,
  agentId: string,
  script: FakeScript,
  changes: Partial<AgentLaunch> = {},
): AgentLaunch {
  const launch = launchOf(dir, agentId, changes)
  const format = ['--input-format=stream-json', '--output-format=stream-json', '--verbose']
  return {
    ...launch,
    file: FAKE_CLAUDE,
    args: ['-p', ...format, `--session-id=${launch.sessionId}`],
    input: userMessage(fakePrompt({ daemon_dir: join(dir, 'daemons', agentId), ...script }), newSessionId()),
  }
}

/** What an agent has printed so far. */
export function spoolOf(launch: AgentLaunch): string {
  return readFileSync(join(launch.dir, 'stdout.ndjson'), 'utf8')
}

/** Resolves when the agent's spool holds the text. */
export async function printed(launch: AgentLaunch, text: string): Promise<void> {
  await until(() => spoolOf(launch).includes(text), {
    timeoutMs: 20_000,
    message: () =>
      `"${text}" in the spool: ${spoolOf(launch)}${readFileSync(join(launch.dir, 'stderr.log'), 'utf8')}`,
  })
}

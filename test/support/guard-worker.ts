/**
 * A worker process for tests that kill or freeze one: `node guard-worker.ts <launches as JSON> [options of the
 * guard as JSON]` starts a guard and the agents, and prints `{guard}`, `{agent, pid}` and `{agent, exit}` lines. A number on its standard input is a new
 * deadline for all of them, in milliseconds from then; `{agent, deadline}` says that it was acknowledged.
 */
import { systemClock } from '../../src/core/clock.ts'
import { startGuard, type AgentLaunch, type GuardOptions } from '../../src/guard/client.ts'

const say = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`)

function isLaunchList(value: unknown): value is AgentLaunch[] {
  return Array.isArray(value)
}

const launches: unknown = JSON.parse(process.argv[2] ?? '')
if (!isLaunchList(launches)) throw new Error('launches are expected')
const more = JSON.parse(process.argv[3] ?? '{}') as Partial<GuardOptions>
const guard = await startGuard({ heartbeatMs: 200, ...more })
say({ guard: guard.pid })
await Promise.all(
  launches.map(async (launch) => {
    const agent = await guard.start(launch)
    say({ agent: launch.agentId, pid: agent.pid })
    process.stdin.on('data', (text) => {
      const deadline = systemClock.monotonic() + Number(text.toString())
      void agent.extend(deadline).then(() => say({ agent: launch.agentId, deadline: agent.acknowledged }))
    })
    say({ agent: launch.agentId, exit: await agent.exited })
  }),
)
await guard.stop()
process.stdin.destroy()

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AgentHealth } from '../../src/core/events.ts'
import { readWitness } from '../support/fake-claude.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { openHouse, type PodHouse } from '../support/pod.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'

let server: TestRedis
let scratch: Scratch
let house: PodHouse
let strict: PodHouse
beforeAll(async () => {
  server = await startRedis()
  scratch = await createScratch()
  const config = join(scratch.dir, 'mcp.json')
  writeFileSync(
    config,
    JSON.stringify({ db: { command: process.execPath }, net: { url: 'http://127.0.0.1:9' } }),
  )
  house = await openHouse({ redisUrl: server.url, spec: { mcp_config: config, agent: 'reviewer' } })
  strict = await openHouse({
    redisUrl: server.url,
    spec: { mcp_config: config, require_mcp: true, max_restarts: 1 },
  })
  mkdirSync(join(house.workspace, '.claude/agents'), { recursive: true })
  writeFileSync(join(house.workspace, '.claude/agents/reviewer.md'), 'You review.')
  await house.startPod()
  await strict.startPod()
})
afterAll(async () => {
  await house.close()
  await strict.close()
  await server.stop()
  await scratch.check()
})

const DB = { name: 'db', status: 'connected' }
const NET = { name: 'net', status: 'failed' }

async function healthOf(at: PodHouse, sessionId: string): Promise<(AgentHealth['message'] | null)[]> {
  const events = await at.events(sessionId)
  return events
    .filter(({ type }) => type === 'drover.agent.health')
    .map(({ payload }) => (payload as AgentHealth).message ?? null)
}

test('a failed server is a warning; the agent file of the workspace is given to the CLI', async () => {
  const sessionId = await house.spawn({ mcp_servers: [DB, NET] })
  expect(await healthOf(house, sessionId)).toEqual(['MCP servers: net failed.'])
  expect(await house.producer.result(sessionId)).toMatchObject({ success: true })
  const [started] = readWitness(house.witness)
  expect(started?.argv).toContain('--agent=reviewer')
  expect(started?.argv?.some((argument) => argument.startsWith('--agents='))).toBe(true)
})

test('with require_mcp it is tried again, and then fails the session before it counts as started', async () => {
  const sessionId = await strict.spawn({ mcp_servers: [DB, NET], silence_ms: 60_000 })
  const result = await strict.producer.result(sessionId)
  expect(result).toMatchObject({ success: false, failureReason: 'spawn_failed', restarts: 1 })
  expect(result.message).toMatch(/requires.*net failed/)
  const types = (await strict.events(sessionId)).map(({ type }) => type)
  expect(types).not.toContain('drover.agent.started')
})

test('a server that is pending, or is not of the spec, fails nothing', async () => {
  const mcp_servers = [DB, { name: 'net', status: 'pending' }, { name: 'orchestrator', status: 'failed' }]
  const sessionId = await strict.spawn({ mcp_servers })
  expect(await strict.producer.result(sessionId)).toMatchObject({ success: true })
  expect(await healthOf(strict, sessionId)).toEqual(['MCP servers: orchestrator failed.'])
})

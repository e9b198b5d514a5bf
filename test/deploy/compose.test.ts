import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'

const text = readFileSync(resolve(import.meta.dirname, '../../docker-compose.yml'), 'utf8')

/** Strict, so that what is added to the file is thought about here too. */
const service = z.strictObject({
  image: z.string(),
  build: z.string().optional(),
  command: z.array(z.string()),
  restart: z.literal('unless-stopped'),
  init: z.literal(true),
  depends_on: z.record(z.string(), z.strictObject({ condition: z.string() })).default({}),
  network_mode: z.string().optional(),
  ports: z.array(z.string()).default([]),
  environment: z.record(z.string(), z.string().nullable()).default({}),
  volumes: z.array(z.string()).default([]),
  healthcheck: z.looseObject({ test: z.array(z.string()) }).optional(),
  deploy: z.strictObject({ replicas: z.int().min(1) }).optional(),
  stop_grace_period: z.string().optional(),
  extra_hosts: z.array(z.string()).default([]),
  security_opt: z.array(z.string()).default([]),
})
const { services, volumes } = z
  .strictObject({
    services: z.strictObject({ redis: service, board: service, worker: service }),
    volumes: z.record(z.string(), z.null()),
  })
  .parse(parse(text))
const { redis, board, worker } = services

const setting = (name: string): string | undefined => redis.command[redis.command.indexOf(`--${name}`) + 1]

describe('redis', () => {
  it('keeps everything that was acknowledged and evicts nothing', () => {
    expect(setting('appendonly')).toBe('yes')
    expect(setting('appendfsync')).toBe('always')
    expect(setting('maxmemory-policy')).toBe('noeviction')
    expect(redis.volumes).toEqual(['redis:/data'])
  })

  it('is at least 6.2 and reachable from this machine only', () => {
    expect(Number(/^redis:(\d+)\./.exec(redis.image)?.[1])).toBeGreaterThanOrEqual(7)
    expect(redis.ports).toEqual(['127.0.0.1:6379:6379'])
  })

  it('is healthy when it answers PONG, not LOADING', () => {
    expect(redis.healthcheck?.test.join(' ')).toContain('grep -q PONG')
  })
})

describe('board', () => {
  it('alone has the ledger', () => {
    expect(board.volumes).toEqual(['ledger:/data'])
    expect([...redis.volumes, ...worker.volumes].filter((volume) => volume.startsWith('ledger'))).toEqual([])
  })

  it('is on the loopback of this machine and published nowhere, unless it is given tokens', () => {
    expect(board.command).toEqual(['board'])
    expect(board.network_mode).toBe('host')
    expect(board.ports).toEqual([])
    expect(board.environment).toEqual({
      REDIS_URL: 'redis://127.0.0.1:6379',
      DROVER_TOKENS: null,
      DROVER_HOST: null,
    })
  })

  it('has a health check that asks it', () => {
    expect(board.healthcheck?.test.join(' ')).toContain('http://127.0.0.1:4680/healthz')
  })
})

describe('worker', () => {
  it('comes in replicas that share nothing but the workspaces', () => {
    expect(worker.command).toEqual(['worker'])
    expect(worker.deploy?.replicas).toBeGreaterThanOrEqual(2)
    // Without a name each container has one of its own: two pods never share a data directory.
    expect(worker.volumes).toEqual(['workspaces:/workspaces', '/data'])
    expect(worker.ports).toEqual([])
    expect(worker.environment['REDIS_URL']).toBe('redis://redis:6379')
  })

  it("leads its agents to the board, which is on the machine's network", () => {
    expect(worker.environment['DROVER_URL']).toBe('http://host.docker.internal:4680')
    expect(worker.extra_hosts).toEqual(['host.docker.internal:host-gateway'])
    expect(board.environment).toHaveProperty('DROVER_HOST')
  })

  it('takes credentials from the environment of compose, never from the file', () => {
    expect(worker.environment['ANTHROPIC_API_KEY']).toBeNull()
    expect(worker.environment['CLAUDE_CODE_OAUTH_TOKEN']).toBeNull()
    expect(text).not.toMatch(/sk-ant-/)
  })

  it('may make pid namespaces without a capability', () => {
    expect(worker.security_opt.toSorted()).toEqual([
      'apparmor=unconfined',
      'seccomp=unconfined',
      'systempaths=unconfined',
    ])
    expect(text).not.toMatch(/^\s*(cap_add|privileged|pid):/m)
  })

  it('has a health check that asks it, on the port that it is given', () => {
    const port = worker.environment['DROVER_HEALTH_PORT']
    expect(worker.healthcheck?.test.join(' ')).toContain(`http://127.0.0.1:${port}/healthz`)
  })

  it('has time to drain', () => {
    expect(worker.stop_grace_period).toBe('60s')
  })
})

it('both roles are the same image, after Redis is healthy', () => {
  for (const role of [board, worker]) {
    expect(role.build).toBe('.')
    expect(role.image).toBe('drover')
    expect(role.depends_on).toEqual({ redis: { condition: 'service_healthy' } })
  }
})

it('declares the volumes that it uses, and no other', () => {
  const used = [redis, board, worker].flatMap((role) =>
    role.volumes.filter((volume) => volume.includes(':')).map((volume) => String(volume.split(':')[0])),
  )
  expect(used.toSorted()).toEqual(Object.keys(volumes).toSorted())
})

/** A namespace of its own in a shared test Redis, with the pieces of queue/ over it. */
import { Redis } from 'ioredis'
import { newId } from '../../src/core/ids.ts'
import { splitEvent, type EventHeader } from '../../src/core/envelope.ts'
import { createAgentTypeRegistry } from '../../src/queue/agent-types.ts'
import { keysOf, type Keys } from '../../src/queue/keys.ts'
import type { Acceptance } from '../../src/queue/accept-script.ts'
import { createSessionStore, type SessionStore } from '../../src/queue/session-store.ts'
import { seedRedis } from './seed.ts'

export interface TestNamespace {
  readonly redis: Redis
  readonly keys: Keys
  readonly store: SessionStore
  /** All events of the stream, in order. */
  events(): Promise<(EventHeader & { readonly payloadText: string })[]>
  close(): void
}

export const ARCHITECT = {
  name: 'architect',
  description: 'Designs',
  model: 'opus',
  use_cases: [],
  timeout: 60,
  max_instances: 1,
}

export async function openNamespace(url: string): Promise<TestNamespace> {
  const redis = new Redis(url)
  const keys = keysOf(`t-${newId().slice(0, 8)}`)
  await createAgentTypeRegistry(redis, keys).announce([ARCHITECT])
  await seedRedis(redis, keys)
  return {
    redis,
    keys,
    store: createSessionStore(redis, keys),
    async events() {
      const entries = await redis.xrange(keys.events, '-', '+')
      return entries.map(([, fields]) => {
        const { header, payloadText } = splitEvent(fields[1] ?? '')
        return { ...header, payloadText }
      })
    },
    close: () => redis.disconnect(),
  }
}

/** A session as the producer would accept it. */
export function acceptance(sessionId: string): Acceptance {
  return {
    sessionId,
    request: { agent_type: 'architect', prompt: 'Design it', workspace_dir: '/tmp' },
    digest: 'd',
    createdAt: '2026-01-01T00:00:00.000Z',
    createdBy: null,
    priority: 1000,
    timeoutSeconds: 60,
    accepted: {
      digest: 'd',
      idempotency_key: null,
      created_by: null,
      restart_of: null,
      actor: { via: 'typescript', name: null },
    },
    events: [],
  }
}

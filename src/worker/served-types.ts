/**
 * The agent types that a pod serves, which may change while it runs.
 *
 * New types and changed specs count at once, for sessions that are claimed from then on. A type that is gone is
 * announced no more, unless another pod serves it, so that nobody asks for it; what was accepted before is still
 * run, by the spec that it had last, and when nothing of it is queued or runs, the pod stops serving it.
 */
import type { Redis } from 'ioredis'
import type { AgentSpec } from '../config/agent-spec.ts'
import { summaryOf, type AgentTypeRegistry } from '../queue/agent-types.ts'
import { assertConcurrency, type Queues } from '../queue/jobs.ts'
import type { PodDirectory } from '../queue/pods.ts'

/** How often a type that is gone is looked at. */
const LOOK_MS = 2000
/** Half a minute: longer than two pods that lose a type at the same time may wait for one another. */
const MOST_LOOKS = 15

export interface ServedTypesParts {
  readonly redis: Redis
  readonly queues: Queues
  readonly registry: AgentTypeRegistry
  readonly pods: Pick<PodDirectory, 'list'>
  readonly podId: string
  /** What is served has changed. */
  readonly onChange: (specs: ReadonlyMap<string, AgentSpec>) => Promise<void>
  readonly onError: (error: unknown) => void
}

export interface ServedTypes {
  /** All that is served, what is on its way out included. */
  present(): ReadonlyMap<string, AgentSpec>
  /** Says which types there are, those on their way out excepted. */
  announce(): Promise<void>
  /** These count from now on. */
  change(specs: ReadonlyMap<string, AgentSpec>): Promise<void>
  stop(): void
}

/** Announces the types and keeps their queues at their limits. */
export async function serveTypes(
  parts: ServedTypesParts,
  specs: ReadonlyMap<string, AgentSpec>,
): Promise<ServedTypes> {
  const { redis, queues, registry, onError } = parts
  let current = specs
  const leaving = new Map<string, AgentSpec>()
  const limits = new Map<string, { readonly of: number; readonly stop: () => void }>()
  let working = Promise.resolve()
  /** Types that are gone, and how often it was looked already whether another pod serves them. */
  const gone = new Map<string, number>()
  const timer = setInterval(() => {
    if (leaving.size + gone.size > 0) void one(lookAtLeaving).catch(onError)
  }, LOOK_MS)

  /** One change at a time. */
  function one(work: () => Promise<void>): Promise<void> {
    working = working.catch(() => {}).then(work)
    return working
  }

  const present = (): ReadonlyMap<string, AgentSpec> => new Map([...leaving, ...current])
  const announce = (): Promise<void> => registry.announce([...current.values()].map(summaryOf))

  async function keepLimits(): Promise<void> {
    const kept = present()
    for (const [name, limit] of limits) {
      if (kept.get(name)?.maxInstances === limit.of) continue
      limit.stop()
      limits.delete(name)
    }
    const added = [...kept.values()].filter(({ name }) => !limits.has(name))
    await Promise.all(
      added.map(async ({ name, maxInstances }) => {
        const limit = assertConcurrency(queues.of(name), redis, maxInstances, onError)
        limits.set(name, { of: maxInstances, stop: () => limit.stop() })
        await limit.ready
      }),
    )
  }

  /** Another pod that has the type in its file goes on announcing it; one that is on its way out of it does not. */
  async function retractGone(): Promise<void> {
    if (gone.size === 0) return
    const others = (await parts.pods.list()).filter(({ pod_id }) => pod_id !== parts.podId)
    const served = new Set(others.flatMap(({ agent_types }) => agent_types))
    const free = [...gone.keys()].filter((name) => !served.has(name))
    await registry.retract(free)
    for (const [name, looks] of gone) {
      if (!served.has(name) || looks >= MOST_LOOKS) gone.delete(name)
      else gone.set(name, looks + 1)
    }
  }

  async function lookAtLeaving(): Promise<void> {
    await retractGone()
    const done: string[] = []
    for (const name of leaving.keys()) {
      const counts = await queues.of(name).getJobCounts('active', 'waiting', 'prioritized', 'delayed')
      if (Object.values(counts).every((count) => count === 0)) done.push(name)
    }
    if (done.length === 0) return
    for (const name of done) leaving.delete(name)
    await keepLimits()
    await parts.onChange(present())
    // A pod that looked while this one still served it did not retract it.
    for (const name of done) gone.set(name, 0)
  }

  await announce()
  await keepLimits()

  return {
    present,
    announce,
    change: (next) =>
      one(async () => {
        for (const [name, spec] of current) {
          if (next.has(name)) continue
          leaving.set(name, spec)
          gone.set(name, 0)
        }
        for (const name of next.keys()) {
          leaving.delete(name)
          gone.delete(name)
        }
        current = next
        await announce()
        await retractGone()
        await keepLimits()
        await parts.onChange(present())
      }),
    stop() {
      clearInterval(timer)
      for (const limit of limits.values()) limit.stop()
    },
  }
}

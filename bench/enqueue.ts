/** A warm `producer.spawn` against a bare `queue.add`, both pipelined, under AOF `always`. */
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { createProducer } from '../src/index.ts'
import { createAgentTypeRegistry } from '../src/queue/agent-types.ts'
import { keysOf } from '../src/queue/keys.ts'
import { ownCpuMs, redisCpuMs } from './cpu.ts'
import { median, summarize, type Result } from './report.ts'
import { measurePairs, type Stage } from './stage.ts'

const NAMESPACE = 'bench-enqueue'
/** Calls in flight at once: what a service does that has much to ask for. */
const IN_FLIGHT = 500
const WARM_ROUNDS = 10
const PROMPT = 'x'.repeat(200)
const PRIORITY = 1000

interface Burst {
  readonly perSecond: number
  /** Microseconds of CPU per call. */
  readonly nodeMicros: number
  readonly redisMicros: number
}

export async function benchEnqueue(stage: Stage): Promise<readonly Result[]> {
  const { redis, redisUrl } = stage
  await createAgentTypeRegistry(redis, keysOf(NAMESPACE)).announce([
    { name: 'bench', description: 'b', model: 'm', use_cases: [], timeout: 60, max_instances: 1 },
  ])
  const connection = new Redis(redisUrl)
  stage.defer(() => connection.disconnect())
  const queue = new Queue('bare', { connection, prefix: '{bare}' })
  stage.defer(() => queue.close())
  const producer = createProducer({ redisUrl, namespace: NAMESPACE })
  stage.defer(() => producer.close())

  const data = { agent_type: 'bench', prompt: PROMPT, workspace_dir: '/tmp' }
  let job = 0
  const add = () => queue.add('session', data, { jobId: `bare-${job++}`, priority: PRIORITY })
  const spawn = () => producer.spawn({ agentType: 'bench', prompt: PROMPT, workspaceDir: '/tmp' })

  async function burst(call: () => Promise<unknown>): Promise<Burst> {
    const redisBefore = await redisCpuMs(redis)
    const nodeBefore = ownCpuMs()
    const start = performance.now()
    await Promise.all(Array.from({ length: IN_FLIGHT }, call))
    const ms = performance.now() - start
    const nodeMs = ownCpuMs() - nodeBefore
    const redisMs = (await redisCpuMs(redis)) - redisBefore
    return {
      perSecond: (IN_FLIGHT * 1000) / ms,
      nodeMicros: (nodeMs * 1000) / IN_FLIGHT,
      redisMicros: (redisMs * 1000) / IN_FLIGHT,
    }
  }
  // Warm: connections, prepared scripts, compiled code (the compiler takes some thousand calls).
  for (let round = 0; round < WARM_ROUNDS; round++) {
    await burst(add)
    await burst(spawn)
  }
  const measured = await measurePairs(
    stage.pairs,
    () => burst(spawn),
    () => burst(add),
  )

  const of = (side: 'ours' | 'bare', value: keyof Burst): number =>
    median(measured.map((pair) => pair[side][value]))
  return [
    {
      bench: 'enqueue',
      title: `producer.spawn against queue.add, warm, ${IN_FLIGHT} in flight, AOF always: calls per second`,
      unit: '×',
      measured: summarize(measured.map(({ ours, bare }) => ours.perSecond / bare.perSecond)),
      goal: { op: '>=', value: 0.7 },
      details: [
        { label: 'add', value: of('bare', 'perSecond'), unit: '/s' },
        { label: 'add, Node CPU', value: of('bare', 'nodeMicros'), unit: 'µs' },
        { label: 'add, Redis CPU', value: of('bare', 'redisMicros'), unit: 'µs' },
        { label: 'spawn', value: of('ours', 'perSecond'), unit: '/s' },
        { label: 'spawn, Node CPU', value: of('ours', 'nodeMicros'), unit: 'µs' },
        { label: 'spawn, Redis CPU', value: of('ours', 'redisMicros'), unit: 'µs' },
      ],
    },
  ]
}

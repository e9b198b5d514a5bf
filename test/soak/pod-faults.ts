/** Faults of one pod: its processes and its network. One of either at a time: two together undo one another. */
import { isAlive, signalAll } from '../fault/rig/processes.ts'
import type { FieldPod } from '../fault/rig/pod.ts'
import type { ProxyMode } from '../fault/rig/proxy.ts'
import type { Random } from '../fault/rig/random.ts'
import type { Arena, Fault } from './arena.ts'
import type { FaultKind } from './fault-kinds.ts'
import type { Place } from './fleet.ts'

/** A pod that is told to stop is given this on top of its graces; then it is killed, as a supervisor would. */
const DRAIN_MS = 15_000

type Deed = (arena: Arena, place: Place & { pod: FieldPod }, random: Random) => Promise<boolean>

const onPod =
  (what: 'processes' | 'network', act: Deed): Fault =>
  async (arena, random) => {
    const place = arena.fleet.pick(random, what)
    if (place === null) return false
    place.taken.add(what)
    try {
      return await act(arena, place, random)
    } finally {
      place.taken.delete(what)
    }
  }

/** SIGSTOP, and SIGCONT after a while to what still lives of it. */
const stopping = (kind: FaultKind, who: (pod: FieldPod) => number | null): Fault =>
  onPod('processes', async (arena, { pod }, random) => {
    const pid = who(pod)
    if (pid === null) return false
    const ms = arena.someTime(random)
    const over = arena.begin(kind, pod.id, { pid, ms })
    signalAll([pid], 'SIGSTOP')
    await arena.pause(ms)
    if (isAlive(pid)) signalAll([pid], 'SIGCONT')
    over()
    return true
  })

const onNetwork = (kind: FaultKind, modeOf: (arena: Arena, random: Random) => ProxyMode): Fault =>
  onPod('network', async (arena, { pod }, random) => {
    const mode = modeOf(arena, random)
    const ms = arena.someTime(random)
    const over = arena.begin(kind, pod.id, { ...mode, ms })
    pod.proxy.mode(mode)
    await arena.pause(ms)
    pod.proxy.mode('pass')
    over()
    return true
  })

const onAgent = (act: (arena: Arena, pid: number, who: string, random: Random) => Promise<void>): Fault =>
  onPod('processes', async (arena, { pod }, random) => {
    const agents = pod.agents()
    if (agents.length === 0) return false
    const { pid, agentId } = random.pick(agents)
    await act(arena, pid, agentId, random)
    return true
  })

export const POD_FAULTS = {
  'worker-kill': onPod('processes', async (arena, place, random) => {
    const ms = arena.someTime(random)
    const over = arena.begin('worker-kill', place.pod.id, { ms })
    await place.pod.kill()
    await place.pod.stop()
    await arena.pause(ms)
    await arena.fleet.startAgain(place, 'same')
    over()
    return true
  }),
  'worker-stop': stopping('worker-stop', (pod) => pod.pid),
  'pod-freeze': onPod('processes', async (arena, { pod }, random) => {
    const ms = arena.someTime(random)
    const over = arena.begin('pod-freeze', pod.id, { ms })
    for (const { agentId } of pod.agents()) arena.stopped.add(agentId)
    pod.freezeAll()
    await arena.pause(ms)
    pod.thawAll()
    over()
    return true
  }),
  'pod-drain': onPod('processes', async (arena, place, random) => {
    const as = random.next() < 0.8 ? 'another' : 'same'
    const over = arena.begin('pod-drain', place.pod.id, { as })
    const patience = new AbortController()
    const killed = new Promise<'late'>((resolve) => {
      const timer = setTimeout(() => resolve('late'), DRAIN_MS)
      patience.signal.addEventListener('abort', () => clearTimeout(timer))
    })
    if ((await Promise.race([place.pod.drain(), killed])) === 'late') {
      arena.begin('worker-kill', place.pod.id, { because: 'it did not drain' })()
      await place.pod.kill()
    }
    patience.abort()
    await place.pod.stop()
    await arena.fleet.startAgain(place, as)
    over()
    return true
  }),
  'guard-kill': onPod('processes', async (arena, { pod }) => {
    const guard = pod.guardPid()
    if (guard === null) return false
    arena.begin('guard-kill', pod.id, { pid: guard })()
    signalAll([guard], 'SIGKILL')
    return true
  }),
  'guard-stop': stopping('guard-stop', (pod) => pod.guardPid()),
  'cli-kill': onAgent(async (arena, pid, who) => {
    arena.begin('cli-kill', who, { pid })()
    signalAll([pid], 'SIGKILL')
  }),
  'cli-stop': onAgent(async (arena, pid, who, random) => {
    const ms = arena.someTime(random)
    const over = arena.begin('cli-stop', who, { pid, ms })
    arena.stopped.add(who)
    signalAll([pid], 'SIGSTOP')
    await arena.pause(ms)
    if (isAlive(pid)) signalAll([pid], 'SIGCONT')
    over()
  }),
  'net-hole': onNetwork('net-hole', (_, random) => ({
    kind: 'hole',
    direction: random.pick(['up', 'down', 'both'] as const),
  })),
  'net-reset': onNetwork('net-reset', (_, random) => ({ kind: random.pick(['reset', 'close'] as const) })),
  'net-delay': onNetwork('net-delay', ({ field }, random) => ({
    kind: 'delay',
    ms: random.integer(1, field.times.renewMs),
    jitterMs: random.integer(0, field.times.renewMs),
  })),
  'net-slice': onNetwork('net-slice', () => ({ kind: 'slice' })),
  'net-drop-replies': onNetwork('net-drop-replies', (_, random) => ({
    kind: 'drop-replies',
    times: random.integer(1, 5),
  })),
} satisfies Partial<Record<FaultKind, Fault>>

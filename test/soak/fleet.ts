/** The pods of a soak: so many places, each with a pod that dies and comes back, or is replaced by another one. */
import type { Field } from '../fault/rig/field.ts'
import type { FieldPod } from '../fault/rig/pod.ts'
import type { Random } from '../fault/rig/random.ts'
import { until } from '../support/until.ts'

export interface Place {
  readonly name: string
  /** null while nothing runs there. */
  pod: FieldPod | null
  /** Its network and its processes may be disturbed at the same time, each by one fault. */
  readonly taken: Set<'processes' | 'network'>
}

export interface Fleet {
  readonly places: readonly Place[]
  /** A place with a living pod that is not disturbed in this way yet; null where there is none. */
  pick(random: Random, what: 'processes' | 'network'): (Place & { pod: FieldPod }) | null
  /** After a worker's death: the same pod again, with what is on its disk, or another one without. */
  startAgain(place: Place, as: 'same' | 'another'): Promise<void>
  /** Every place has a living pod. */
  complete(): Promise<void>
  /** How many pods were started after the first ones. */
  readonly restarts: number
}

/** Redis may be away for longer than a start waits: whoever runs pods starts them again. */
const START_MS = 60_000

export function createFleet(field: Field): Fleet {
  const places: Place[] = field.pods.map((pod) => ({ name: pod.id, pod, taken: new Set() }))
  let restarts = 0

  async function startAgain(place: Place, as: 'same' | 'another'): Promise<void> {
    const last = field.pods.findLast(({ id }) => id === place.name || id.startsWith(`${place.name}-`))
    place.pod = null
    restarts++
    const wanted =
      as === 'same' && last !== undefined
        ? { id: last.id, dataDir: last.dataDir }
        : { id: `${place.name}-${restarts}` }
    place.pod = await until(() => field.startPod(wanted), {
      timeoutMs: START_MS,
      message: `${place.name} to start`,
    })
  }

  return {
    places,
    pick(random, what) {
      const free = places.filter((place) => place.pod?.isAlive() === true && !place.taken.has(what))
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- filtered by it
      return free.length === 0 ? null : (random.pick(free) as Place & { pod: FieldPod })
    },
    startAgain,
    async complete() {
      for (const place of places) {
        if (place.pod?.isAlive() === true) continue
        await startAgain(place, 'same')
      }
    },
    get restarts() {
      return restarts
    },
  }
}

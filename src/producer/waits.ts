/** Waits of agents for sessions: which are refused, because they would never end. */
import { DroverError, isDroverError } from '../core/errors.ts'
import { refuseRing, type Awaited, type KnownWaits } from '../core/ring.ts'
import type { AgentTypeRegistry } from '../queue/agent-types.ts'
import type { WaitStore } from '../queue/waits.ts'

export interface Waits {
  /**
   * Refuses to wait for a session of the type that is about to be asked for.
   *
   * @param waitingFor tasks that have to be done before it
   * @throws DroverError `self_deadlock`
   */
  refuseAsking(waiter: string, agentType: string, waitingFor: readonly string[]): Promise<void>
  /**
   * The session's agent waits for another one from now on, until the answered function is called. It is noted before
   * it is looked at, so that of two that close a ring together one at least sees the other. Without Redis nothing is
   * noted and nothing refused: such a wait costs time, and no more.
   *
   * @throws DroverError `self_deadlock`
   */
  begin(waiter: string, sessionId: string): Promise<() => void>
}

/** What the ledger knows of sessions that wait for tasks. */
export interface TasksOfWaits {
  /** The tasks that a session waits for. */
  waitingFor(sessionId: string): readonly string[]
  /** The sessions of these tasks, and of those that they wait for, as far as they are not done. */
  sessionsOf(taskIds: readonly string[]): readonly string[]
}

export interface WaitsParts {
  readonly store: WaitStore
  readonly types: Pick<AgentTypeRegistry, 'require'>
  /** Where there is a ledger; without one tasks are not looked at. */
  readonly tasks?: TasksOfWaits
  readonly onError: (error: unknown) => void
}

export function createWaits({ store, types, tasks, onError }: WaitsParts): Waits {
  /** What is known of `ids`, of all that wait, and of the tasks that `ids` and what those wait for depend on. */
  async function look(asking: string, ids: readonly string[]): Promise<KnownWaits> {
    const waits = await store.list()
    const all = new Set([asking, ...ids, ...waits.flatMap(({ waiter, awaited }) => [waiter, awaited])])
    const waiting = await store.sessions([...all])
    // Not of all that wait: there may be thousands, and each is a look into the ledger.
    const awaitedBy = Map.groupBy(waits, ({ waiter }) => waiter)
    const chain = new Set(ids)
    for (const id of chain) {
      if (id !== asking) for (const { awaited } of awaitedBy.get(id) ?? []) chain.add(awaited)
    }
    const queued = [...chain].filter((id) => waiting.get(id)?.state === 'queued')
    const dependencies = new Map(
      queued.map((id) => [id, tasks?.sessionsOf(tasks.waitingFor(id)) ?? []] as const),
    )
    const others = [...new Set([...dependencies.values()].flat())].filter((id) => !all.has(id))
    const sessions = others.length === 0 ? waiting : new Map([...waiting, ...(await store.sessions(others))])
    const names = new Set([...sessions.values()].map(({ agentType }) => agentType))
    const slots = new Map<string, number>()
    for (const name of names) {
      // A type that nobody has any more has no slot that could be waited for.
      const type = await types.require(name).catch(() => null)
      slots.set(name, type?.max_instances ?? Number.POSITIVE_INFINITY)
    }
    return {
      waits,
      sessions,
      dependencies,
      maxInstances: (agentType) => slots.get(agentType) ?? Number.POSITIVE_INFINITY,
    }
  }

  return {
    async refuseAsking(waiter, agentType, waitingFor) {
      const dependencies = tasks?.sessionsOf(waitingFor) ?? []
      const awaited: Awaited = { sessionId: null, agentType, state: 'queued', dependencies }
      refuseRing(waiter, awaited, await look(waiter, dependencies))
    },

    async begin(waiter, sessionId) {
      let end = (): void => {}
      try {
        end = await store.keep({ waiter, awaited: sessionId })
        const known = await look(waiter, [sessionId])
        const awaited = known.sessions.get(sessionId)
        if (awaited !== undefined) refuseRing(waiter, awaited, known)
      } catch (error) {
        if (isDroverError(error) && error.code === 'self_deadlock') {
          end()
          throw goesOn(error, sessionId)
        }
        onError(error)
      }
      return end
    },
  }
}

/** What is there already goes on, and begins when who asks has ended. */
function goesOn({ message, details }: DroverError, sessionId: string): DroverError {
  return new DroverError('self_deadlock', message, { ...details, session_id: sessionId })
}

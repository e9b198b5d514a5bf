/**
 * Prompts of tasks as they were given, where something was taken out of what is recorded of them. One hash, a field for
 * each: task id and digest of what was given, so that of two that add a task at the same time each finds its own, and the
 * one of the task that the ledger took is found. Written in one step with the task's event; gone some time after the
 * task's end (`recorder/unredacted-keeper.ts`). A session's own prompt is in its hash.
 */
import type { ChainableCommander, Redis } from 'ioredis'
import type { Redacted } from '../core/redacted.ts'
import type { Keys } from './keys.ts'

/** A task's prompt as it was given. */
export interface UnredactedPrompt {
  readonly taskId: string
  /** Of the task's mark (`Redacted`). */
  readonly digest: string
  readonly prompt: string
}

/** One that is kept: which, without it. */
export type KeptPrompt = Omit<UnredactedPrompt, 'prompt'>

export interface UnredactedStore {
  /** Keeps them; those that are there stay. */
  keep(prompts: readonly UnredactedPrompt[]): Promise<void>
  /** The prompt of the task; null where nothing was taken out of it, and where Redis has lost it. */
  promptOf(task: { readonly task_id: string; readonly redacted: Redacted | null }): Promise<string | null>
  /** All that is kept. */
  list(): Promise<readonly KeptPrompt[]>
  /** When it was kept, in milliseconds since 1970; null where it is not there. */
  keptAt(kept: KeptPrompt): Promise<number | null>
  forget(kept: readonly KeptPrompt[]): Promise<void>
}

export function createUnredactedStore(redis: Redis, keys: Pick<Keys, 'unredacted'>): UnredactedStore {
  return {
    async keep(prompts) {
      const pipeline = redis.pipeline()
      keepIn(pipeline, keys, prompts)
      const [error] = ((await pipeline.exec()) ?? []).flatMap(([refused]) => refused ?? [])
      if (error !== undefined) throw error
    },
    async promptOf({ task_id, redacted }) {
      if (redacted === null) return null
      const kept = await redis.hget(keys.unredacted, fieldOf(task_id, redacted.digest))
      return kept === null ? null : kept.slice(kept.indexOf(' ') + 1)
    },
    async list() {
      const fields = await redis.hkeys(keys.unredacted)
      return fields.map((field) => {
        const [taskId = '', digest = ''] = field.split(' ')
        return { taskId, digest }
      })
    },
    async keptAt({ taskId, digest }) {
      const kept = await redis.hget(keys.unredacted, fieldOf(taskId, digest))
      return kept === null ? null : Number(kept.slice(0, kept.indexOf(' ')))
    },
    async forget(kept) {
      if (kept.length === 0) return
      await redis.hdel(keys.unredacted, ...kept.map(({ taskId, digest }) => fieldOf(taskId, digest)))
    },
  }
}

/** As a part of a pipeline or a transaction. */
export function keepIn(
  commands: ChainableCommander,
  keys: Pick<Keys, 'unredacted'>,
  prompts: readonly UnredactedPrompt[],
): void {
  for (const { taskId, digest, prompt } of prompts) {
    commands.hsetnx(keys.unredacted, fieldOf(taskId, digest), `${Date.now()} ${prompt}`)
  }
}

/** No id of a task has a space. */
const fieldOf = (taskId: string, digest: string): string => `${taskId} ${digest}`

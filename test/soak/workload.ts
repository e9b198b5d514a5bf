/**
 * The work of a soak: sessions that are asked for at random times, through Redis and over HTTP, some twice, some
 * killed. Whoever asks goes on asking until there is an answer, as its idempotency key allows.
 */
import { isDroverError, messageOf } from '../../src/core/errors.ts'
import { sessionIdOfKey } from '../../src/core/ids.ts'
import { createHttpClient } from '../../src/producer/http-client.ts'
import type { Field } from '../fault/rig/field.ts'
import type { Random } from '../fault/rig/random.ts'
import { fakePrompt } from '../support/fake-claude.ts'
import type { Arena } from './arena.ts'
import { logUniform, randomWork, type Work } from './scripts.ts'

/** One session that was asked for. Times are milliseconds on the witness' clock. */
export interface Submission {
  readonly key: string
  /** Known beforehand: it is derived from the key. */
  readonly sessionId: string
  readonly agentType: string
  readonly work: Work
  readonly door: 'redis' | 'board'
  /** null: no answer yet, so it may or may not have been accepted. */
  acknowledgedAt: number | null
  /** The answer said that it is in the ledger. */
  inLedger: boolean
  kill: Kill | null
}

export interface Kill {
  readonly askedAt: number
  /** `done`: the answer said that it is killed. `late`: it had ended. `unknown`: no answer, or none in time. */
  outcome: 'done' | 'late' | 'unknown'
  answeredAt: number | null
}

export interface Workload {
  readonly submissions: readonly Submission[]
  readonly counts: Readonly<Record<'repeats' | 'conflicts' | 'kills' | 'unanswered', number>>
  /** What no answer should have been. */
  readonly problems: readonly string[]
  /** Asks for sessions until the arena is to be healed; resolves when every one of them is acknowledged. */
  run(): Promise<void>
}

/** Sessions a second and agent type. A pod runs one of a type at a time, and most take about a second. */
const RATE = 0.35
/** Waiting ones per type, beyond which no more are asked for: the end is not to be spent on the backlog. */
const MOST_WAITING = 3
const REPEAT_SHARE = 0.15
const CONFLICT_SHARE = 0.05
const KILL_SHARE = 0.08
const BOARD_SHARE = 0.3
const RETRY_MS = 250
const ANSWER_MS = 20_000
/** After everything was healed there must be an answer within so many leases. */
const ANSWER_LEASES = 10

export function createWorkload(
  arena: Arena,
  agentTypes: readonly string[],
  random: Random,
  isEnded: (sessionId: string) => boolean,
): Workload {
  const { field } = arena
  const arrivals = random.stream('arrivals')
  const works = random.stream('works')
  const choices = random.stream('choices')
  const submissions: Submission[] = []
  const problems: string[] = []
  const counts = { repeats: 0, conflicts: 0, kills: 0, unanswered: 0 }

  let healedAt = Number.POSITIVE_INFINITY
  arena.healing.addEventListener('abort', () => {
    healedAt = field.now()
  })
  const isTooLate = (): boolean => field.now() > healedAt + ANSWER_LEASES * field.times.ttlMs

  function next(): Submission {
    const key = `soak-${field.seed}-${submissions.length + 1}`
    return {
      key,
      sessionId: sessionIdOfKey(field.namespace, key),
      agentType: works.pick(agentTypes),
      work: randomWork(works, key),
      door: works.next() < BOARD_SHARE ? 'board' : 'redis',
      acknowledgedAt: null,
      inLedger: false,
      kill: null,
    }
  }

  /** Everything that is random about a submission is drawn at once: what faults do to it shifts nothing. */
  function submit(): Promise<unknown> {
    const submission = next()
    submissions.push(submission)
    const repeat = choices.next() < REPEAT_SHARE
    const conflict = choices.next() < CONFLICT_SHARE
    const killAfterMs = choices.next() < KILL_SHARE ? logUniform(choices, 10, 3000) : null
    const force = choices.next() < 0.3
    return Promise.all([
      acknowledged(submission),
      ...(repeat ? [acknowledged(submission).then(() => counts.repeats++)] : []),
    ]).then(async () => {
      if (conflict) await askForAnother(submission)
      if (killAfterMs === null) return
      await arena.pause(killAfterMs)
      await kill(submission, force)
    })
  }

  async function acknowledged(submission: Submission): Promise<void> {
    for (;;) {
      try {
        const answer = await ask(field, submission)
        if (answer.sessionId !== submission.sessionId) {
          problems.push(`I10: key ${submission.key} is ${answer.sessionId} and ${submission.sessionId}`)
        }
        submission.acknowledgedAt ??= field.now()
        submission.inLedger ||= answer.inLedger
        return
      } catch (error) {
        counts.unanswered++
        if (!mayPass(error) || isTooLate()) {
          problems.push(`answer: spawn of ${submission.key} was refused: ${messageOf(error)}`)
          return
        }
        await delay(RETRY_MS)
      }
    }
  }

  async function askForAnother(submission: Submission): Promise<void> {
    try {
      await ask(field, { ...submission, work: { ...submission.work, script: { lines: 99 } } })
      // After a wipe the key may be free, until the ledger has written it back.
      if (arena.wipes.length === 0) problems.push(`I10: key ${submission.key} was taken with another body`)
    } catch (error) {
      if (isDroverError(error) && error.code === 'idempotency_conflict') counts.conflicts++
    }
  }

  async function kill(submission: Submission, force: boolean): Promise<void> {
    counts.kills++
    const asked: Kill = { askedAt: field.now(), outcome: 'unknown', answeredAt: null }
    submission.kill = asked
    try {
      await field.producer.kill(submission.sessionId, {
        force,
        reason: 'the soak wants it so',
        signal: AbortSignal.timeout(ANSWER_MS),
      })
      asked.outcome = 'done'
      asked.answeredAt = field.now()
    } catch (error) {
      if (isDroverError(error) && error.code === 'session_ended') asked.outcome = 'late'
    }
  }

  return {
    submissions,
    counts,
    problems,
    async run() {
      const open = new Set<Promise<unknown>>()
      const everyMs = 1000 / (RATE * agentTypes.length)
      while (!arena.healing.aborted) {
        await arena.pause(-Math.log(1 - arrivals.next()) * everyMs)
        const waiting = submissions.filter(({ sessionId }) => !isEnded(sessionId)).length
        if (arena.healing.aborted || waiting >= MOST_WAITING * agentTypes.length) continue
        const submitted = submit()
        open.add(submitted)
        void submitted.then(() => open.delete(submitted))
      }
      await Promise.all(open)
    },
  }
}

async function ask(
  field: Field,
  { key, agentType, work, door }: Submission,
): Promise<{ readonly sessionId: string; readonly inLedger: boolean }> {
  const prompt = fakePrompt(work.script)
  if (door === 'redis') {
    const { sessionId } = await field.producer.spawn({
      agentType,
      prompt,
      workspaceDir: field.workspace,
      idempotencyKey: key,
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    return { sessionId, inLedger: false }
  }
  const answer = await createHttpClient({ url: String(field.board().ready['url']) }).accept(
    { agent_type: agentType, prompt, workspace_dir: field.workspace },
    { idempotencyKey: key, signal: AbortSignal.timeout(ANSWER_MS), patienceMs: 0 },
  )
  return { sessionId: answer.session_id, inLedger: answer.durability === 'ledger' }
}

/** Redis, the board or its ledger was away; anything else is an answer that nobody should get. */
function mayPass(error: unknown): boolean {
  return !isDroverError(error) || error.httpStatus === 503 || error.exitCode === 3
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

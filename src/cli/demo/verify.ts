/** Whether the demo did what it says: the demo fails where something is missing, denied or miscounted. */
import type { CompletedAnswer } from '../../core/answer.ts'
import { expectedCostMicros, expectedTotals } from '../../rehearsal/expected.ts'
import { pricesOf } from '../../core/prices.ts'
import type { Script } from '../../rehearsal/script.ts'
import { EXPECTED_FILES, type DemoFile } from './workspace.ts'

export interface DemoRecord {
  readonly sessions: readonly CompletedAnswer[]
  readonly files: readonly DemoFile[]
  /** What was scripted; null for the real model. */
  readonly script: Script | null
  /** Model of each agent type, as its spec names it. */
  readonly models: ReadonlyMap<string, string>
}

/** Sentences about what is wrong; none when all is well. */
export function problemsOf(record: DemoRecord): string[] {
  const { sessions, files, script } = record
  return [
    ...sessions.flatMap(sessionProblems),
    ...orderProblems(sessions),
    ...EXPECTED_FILES.filter((path) => !files.some((file) => file.path === path)).map(
      (path) => `${path} was not written, or is empty.`,
    ),
    ...(script === null ? [] : sessions.flatMap((session) => countProblems(session, script, record.models))),
  ]
}

function sessionProblems(session: CompletedAnswer): string[] {
  const problems: string[] = []
  if (!session.success)
    problems.push(`${session.agent_type} ${session.status}: ${session.message ?? 'no reason given'}`)
  if (session.permission_denials.length > 0) {
    problems.push(`${session.agent_type} was denied ${session.permission_denials.length} tool call(s).`)
  }
  return problems
}

function orderProblems([first, second]: readonly CompletedAnswer[]): string[] {
  if (first === undefined || second?.started_at == null || second.started_at >= first.completed_at) return []
  return [
    `${second.agent_type} started before ${first.agent_type}, which its task depends on, had completed.`,
  ]
}

function countProblems(
  session: CompletedAnswer,
  script: Script,
  models: ReadonlyMap<string, string>,
): string[] {
  const type = session.agent_type
  const expected = expectedTotals(script, type).usage
  const problems = Object.entries(expected).flatMap(([kind, count]) => {
    const found = session.usage[kind as keyof typeof expected]
    return found === count ? [] : [`${type} used ${found} ${kind}; ${count} were scripted.`]
  })
  const prices = pricesOf(models.get(type) ?? '')
  if (prices === undefined) return problems
  const micros = expectedCostMicros(script, type, prices)
  const found = Math.round(session.cost * 1e6)
  if (found !== micros) problems.push(`${type} cost $${found / 1e6}; $${micros / 1e6} was scripted.`)
  return problems
}

/** The answer of a spawn, for people and for scripts. */
import type { AcceptedAnswer, CompletedAnswer, SpawnAnswer, StartedAnswer } from '../../core/answer.ts'
import { EXIT } from '../../core/errors.ts'
import { counted, seconds, usd } from '../format.ts'
import type { CliContext } from '../program.ts'
import { shownText } from '../safe-text.ts'

/** Says it, and sets the exit code: a session that ran and failed is a 1. */
export async function sayAnswer(context: CliContext, answer: SpawnAnswer): Promise<void> {
  const { output } = context
  if ('completed_at' in answer) return sayEnd(context, answer)
  await output.answer(answer, () => ('started_at' in answer ? startedText(answer) : acceptedText(answer)))
  output.note(output.noteColors.dim(`follow it with: drover watch ${answer.session_id}`))
}

async function sayEnd({ output, setExitCode }: CliContext, answer: CompletedAnswer): Promise<void> {
  if (output.json) await output.answer(answer, () => '')
  // The agent's words are the answer; everything about them goes to stderr.
  else if (answer.output !== null) await output.line(shownText(answer.output, output.isTerminal))
  const { red, dim } = output.noteColors
  if (!answer.success) {
    output.note(
      `${red('error:')} ${shownText(answer.message ?? '', true)} (${answer.failure_reason ?? answer.status})`,
    )
    setExitCode(EXIT.failed)
  }
  output.note(
    dim(
      [
        `${answer.status} in ${seconds(answer.duration_ms)}`,
        counted(answer.num_turns, 'turn'),
        usd(answer.cost),
        `session ${answer.session_id}`,
      ].join(', '),
    ),
  )
}

/** The session's id comes first, for `cut -d' ' -f1`. */
function acceptedText({ session_id, status, queue_position, waiting_for, repeated }: AcceptedAnswer): string {
  const facts = [
    ...(queue_position > 0 ? [`place ${queue_position}`] : []),
    ...(waiting_for.length > 0 ? [`waits for ${waiting_for.join(', ')}`] : []),
    ...(repeated ? ['accepted before'] : []),
  ]
  return `${session_id} ${status}${facts.length > 0 ? ` (${facts.join(', ')})` : ''}`
}

function startedText({ session_id, status, agent_id, pid }: StartedAnswer): string {
  return `${session_id} ${status} as ${agent_id}${pid === null ? '' : ` (pid ${pid})`}`
}

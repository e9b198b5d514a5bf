/** `drover monitor`: how every running agent is, once or over and over. */
import { sleep } from '../../core/clock.ts'
import { EXIT, isDroverError } from '../../core/errors.ts'
import { needsAttention, type MonitorAnswer } from '../../core/monitor.ts'
import type { HttpClient } from '../../producer/http-client.ts'
import { connect } from '../connect.ts'
import { examples, type CliContext, type Register } from '../program.ts'
import { exitCodeOf } from '../signals.ts'

/** Pods write a beat every 7.5 s by default, agents print more often. */
const LOOK_MS = 2000
/** A screen of its own, and the one before it again. */
const OWN_SCREEN = '\u001B[?1049h'
const FORMER_SCREEN = '\u001B[?1049l'
/** Cursor to the top left, then "erase to the end of the screen": flickers less than a cleared one. */
const REDRAW = '\u001B[H\u001B[J'

/** How agents are, and what is to be said of the pods. */
interface Look {
  readonly answer: MonitorAnswer
  readonly notes: readonly string[]
}

/** Declares `drover monitor`. */
export const registerMonitor: Register = (program, context) => {
  program
    .command('monitor')
    .description(
      'Shows how every running agent is: process, CPU, memory, heartbeat, health; and which pods take no session.',
    )
    .option('--agent-id <id>', 'only this agent, also after its end')
    .option('--watch', 'look again every two seconds, until Ctrl-C')
    .addHelpText(
      'after',
      examples(
        'drover monitor',
        'drover monitor --watch',
        'drover monitor --agent-id architect-20260131-001 --json | jq .agents[0].health_status',
      ),
    )
    .action(async ({ agentId, watch }) => {
      const client = await connect(context)
      const look = async (): Promise<Look> => {
        const asked = client.monitor({ agent_id: agentId })
        // Of one agent, and for programs, the answer is all.
        if (agentId !== undefined || context.output.json) return { answer: await asked, notes: [] }
        const [answer, { podNotes }, { pods }] = await Promise.all([
          asked,
          import('../show-pods.ts'),
          client.pods(),
        ])
        return { answer, notes: podNotes(pods) }
      }
      if (watch === true) await lookOn(context, look, client)
      else {
        const [{ monitorText }, { answer, notes }] = await Promise.all([import('../show-monitor.ts'), look()])
        await context.output.answer(answer, () => monitorText(answer, notes, context.output))
        if (needsAttention(answer)) context.setExitCode(EXIT.failed)
      }
    })
}

/** Until a signal ends it. A board that goes away in the meantime may come back. */
async function lookOn(
  { output, takeSignals, setExitCode }: CliContext,
  look: () => Promise<Look>,
  client: HttpClient,
): Promise<void> {
  const { monitorText } = await import('../show-monitor.ts')
  let shown = await look()
  const stop = takeSignals()
  const redraws = output.isTerminal && !output.json
  if (redraws) await output.raw(OWN_SCREEN)
  try {
    for (let seen: Look | null = shown; !stop.aborted;) {
      shown = seen ?? shown
      if (seen === null) output.status(`${client.url} does not answer`)
      else if (output.json) await output.line(JSON.stringify(seen.answer))
      else await output.raw(`${redraws ? REDRAW : ''}${monitorText(seen.answer, seen.notes, output)}\n`)
      await sleep(LOOK_MS, stop)
      if (!stop.aborted) seen = await look().catch(nothingWhenAway)
    }
  } finally {
    output.status('')
    // What was seen last stays to be read.
    if (redraws) await output.raw(`${FORMER_SCREEN}${monitorText(shown.answer, shown.notes, output)}\n`)
  }
  setExitCode(exitCodeOf(stop))
}

function nothingWhenAway(error: unknown): null {
  if (isDroverError(error) && error.exitCode === EXIT.unreachable) return null
  throw error
}

/** The demo's last page: the table, the files, where to look further. */
import { seconds, usd } from '../format.ts'
import type { Output } from '../output.ts'
import { table } from '../table.ts'
import type { DemoDocument } from './play.ts'

export function showDemo(document: DemoDocument, output: Output): string {
  const { colors } = output
  const rows = document.sessions.map((session) => [
    session.session_id,
    session.agent_type,
    session.status === 'completed' ? colors.green(session.status) : colors.red(session.status),
    String(session.num_turns),
    String(Object.values(session.usage).reduce((sum, count) => sum + count, 0)),
    usd(session.cost),
    seconds(session.duration_ms),
    String(session.restarts),
  ])
  const heads = ['session', 'agent type', 'status', 'turns', 'tokens', 'cost', 'duration', 'restarts']
  const files = document.files.map((file) => `  ${file.path}  ${colors.dim(`${file.bytes} bytes`)}`)
  return [
    '',
    table(heads, rows, output),
    '',
    `Files in ${document.workspace_dir}`,
    ...files,
    '',
    ...lookFurther(document),
    '',
    document.success
      ? colors.green(`Done in ${seconds(document.duration_ms)}.`)
      : colors.red(['The demo failed:', ...(document.problems ?? [])].join('\n  ')),
  ].join('\n')
}

function lookFurther(document: DemoDocument): string[] {
  const ledger = [
    'The ledger, with sqlite3:',
    `  sqlite3 ${document.ledger} "SELECT agent_type, status, cost_usd FROM claude_invocations"`,
    `  sqlite3 ${document.ledger} "SELECT agent_type, status, spawned_at FROM agent_lifecycle"`,
  ]
  if (document.pid === undefined) {
    return [`The board was at ${document.board_url}; with --keep it stays up for a look.`, ...ledger]
  }
  return [
    `The board is at ${document.board_url}, Bull Board at ${document.board_url}/queues.`,
    `Stop it with: kill ${document.pid}`,
    ...ledger,
  ]
}

/** Costs as tables for people. */
import type { CostReport, CostRow, ModelCost, RelatedSession, SessionTree } from '../ledger/ledger.ts'
import { counted, seconds, usd } from './format.ts'
import type { Output } from './output.ts'
import { visible } from './safe-text.ts'
import { table, type Shown } from './table.ts'

/** What a row is, as the head of the first column. */
const KEY_HEADS: Readonly<Record<CostReport['by'], string>> = {
  agent_type: 'agent type',
  day: 'day',
  task: 'task',
  session: 'session',
  tree: 'tree (its root)',
  model: 'model',
}
const TOKEN_HEADS = ['input', 'output', 'cache read', 'cache creation']

/** A report of `drover cost`, with its total. */
export function costText(report: CostReport, output: Shown & Pick<Output, 'colors'>): string {
  const { by, rows, rows_omitted, next_cursor, total } = report
  if (total.sessions === 0) return 'Nothing was spent: there are no sessions.'
  const lines = [...rows.map((row) => cells(visible(row.key ?? '(none)'), row)), cells('total', total)]
  const notes = [
    ...(rows_omitted > 0 ? [`${counted(rows_omitted, 'more row')} with --cursor ${next_cursor}`] : []),
    ...(total.estimated ? ['~ is partly an estimate: an agent ended without a result.'] : []),
  ]
  const text = table([KEY_HEADS[by], 'sessions', 'cost', ...TOKEN_HEADS], lines, output)
  return [text, ...(notes.length > 0 ? ['', ...notes.map((note) => output.colors.dim(note))] : [])].join('\n')
}

function cells(key: string, row: Omit<CostRow, 'key'>): string[] {
  return [key, String(row.sessions), money(row.cost_usd, row.estimated), ...tokens(row)]
}

function tokens(used: Omit<CostRow, 'key' | 'sessions' | 'cost_usd' | 'estimated'>): string[] {
  return [used.input_tokens, used.output_tokens, used.cache_read_tokens, used.cache_creation_tokens].map(
    String,
  )
}

function money(amount: number, estimated: boolean): string {
  return `${estimated ? '~' : ''}${usd(amount)}`
}

/** What a session used, by model; empty where it used nothing. */
export function modelsTable(models: readonly ModelCost[], shown: Shown): string {
  if (models.length === 0) return ''
  const rows = models.map((used) => [
    visible(used.model),
    money(used.cost_usd, used.estimated),
    ...tokens(used),
    used.web_search_requests > 0 ? String(used.web_search_requests) : '',
  ])
  return table(['model', 'cost', ...TOKEN_HEADS, 'searches'], rows, shown)
}

/** The tree of a session with its cost, each one under its parent; empty where it is alone. */
export function treeTable(sessionId: string, { tree }: SessionTree, shown: Shown): string {
  const { members, sessions } = tree
  if (sessions < 2) return ''
  const rows = inOrder(members).map(({ session, depth }) => [
    `${'  '.repeat(depth)}${session.session_id}${session.session_id === sessionId ? ' (this)' : ''}`,
    session.agent_type,
    session.status,
    session.restart_of === null ? '' : 'restart',
    session.started_at ?? session.created_at,
    session.duration_ms === null ? '' : seconds(session.duration_ms),
    money(session.estimated_cost_usd, session.cost_estimated),
  ])
  const more = sessions > members.length ? `\n${counted(sessions - members.length, 'more session')}` : ''
  const heads = ['tree', 'agent type', 'status', '', 'started', 'took', 'cost']
  return `${table(heads, rows, shown)}${more}\n${counted(sessions, 'session')}, ${money(tree.cost_usd, tree.estimated)} together`
}

/** Parents before their children, siblings by age. One whose parent is not shown stands at the left. */
function inOrder(members: readonly RelatedSession[]): { session: RelatedSession; depth: number }[] {
  const known = new Set(members.map(({ session_id }) => session_id))
  const children = new Map<string | null, RelatedSession[]>()
  for (const session of members) {
    const parent = session.parent_session_id
    const under = parent !== null && known.has(parent) && parent !== session.session_id ? parent : null
    children.set(under, [...(children.get(under) ?? []), session])
  }
  const ordered: { session: RelatedSession; depth: number }[] = []
  // A stack and not a recursion: a tree may be as deep as it has members.
  const stack = (children.get(null) ?? []).toReversed().map((session) => ({ session, depth: 0 }))
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    ordered.push(next)
    const { session, depth } = next
    const below = (children.get(session.session_id) ?? []).toReversed()
    stack.push(...below.map((child) => ({ session: child, depth: depth + 1 })))
  }
  return ordered
}

/** The landing page's short answers: what needs somebody, which pods take work, what was spent. */
export const OVERVIEW_SCRIPT = String.raw`'use strict'

/** The cost is summed up by the ledger, and no figure to look at every moment. */
const COST_EVERY_MS = 30000
const COST_DAYS = 7
const COST_TYPES = 6
const DAY_MS = 86400000
let costAt = 0

/** Each shows what it has found; one that fails fails alone. */
function overview() {
  return [showAlarms(), showWaiting(), showPods(), showCost()]
}

/** What the board itself says of its Redis, ledger and recorder. */
async function showAlarms() {
  const response = await fetch('/readyz', { headers: { accept: 'application/json' }, signal: AbortSignal.timeout(ANSWER_MS) })
  // Where something is away it is 503 with the same document.
  const { checks, alarms } = await response.json()
  const waits = checks?.leases?.status === 'waiting'
    ? ['Redis was restarted, failed over or emptied: no session starts for a moment (' + checks.leases.seconds_left + ' s).']
    : []
  const said = [...waits, ...(alarms ?? []).map(({ message }) => message)]
  document.getElementById('alarms').hidden = said.length === 0
  put('alarms', element('div', '', ...said.map((text) => element('p', 'problem late', text))))
}

/** Sessions that go on only when a person has answered. */
async function showWaiting() {
  const { sessions } = await ask('/sessions?status=waiting_input&limit=50')
  document.getElementById('waiting-section').hidden = sessions.length === 0
  put('waiting', element('ul', 'rows', ...sessions.map(sessionRow)))
}

async function showPods() {
  const { pods } = await ask('/pods')
  put('pods', element('div', '', ...podNotes(pods)))
}

async function showCost() {
  if (Date.now() - costAt < COST_EVERY_MS) return
  const today = new Date().toISOString().slice(0, 10)
  const since = new Date(Date.parse(today) - (COST_DAYS - 1) * DAY_MS).toISOString()
  const asked = '&since=' + encodeURIComponent(since)
  const [types, days] = await Promise.all([ask('/cost?by=agent_type' + asked), ask('/cost?by=day' + asked)])
  costAt = Date.now()
  put('cost', element('dl', '', ...costFacts(types, days.rows.find(({ key }) => key === today))))
}

function spent({ cost_usd, estimated }) {
  return (estimated ? '~ ' : '') + money(cost_usd)
}

/** The dearest types by name, what is left as one figure. */
function costFacts({ rows, total }, today) {
  const dearest = rows.filter(({ cost_usd }) => cost_usd > 0).sort((one, other) => other.cost_usd - one.cost_usd)
  const others = dearest.slice(COST_TYPES)
  const sum = { cost_usd: others.reduce((all, { cost_usd }) => all + cost_usd, 0), estimated: others.some(({ estimated }) => estimated) }
  return [
    fact('Today (UTC)', today === undefined ? '$0' : spent(today)),
    fact('Last ' + COST_DAYS + ' days', spent(total)),
    ...dearest.slice(0, COST_TYPES).map((row) => fact(row.key, spent(row))),
    others.length > 0 ? fact('other types', spent(sum)) : null,
  ].filter(Boolean)
}
`

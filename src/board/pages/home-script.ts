/** The landing page's script: what runs, agent types and sessions, asked for every few seconds. `overview-script.ts` has the rest. */
export const HOME_SCRIPT = String.raw`'use strict'

const REFRESH_MS = 3000
const SHOWN = 50
/** The API's largest page. */
const MOST_SHOWN = 200
const HITS = 20
let show = 'all'
let shown = SHOWN
const search = document.getElementById('q')
const pick = document.getElementById('type')
const more = document.getElementById('more')

/** A figure with its name; with a share of 100 a bar below it. */
function gauge(name, value, share) {
  const made = element('span', 'gauge', element('span', 'quiet', name), element('span', 'figure', value))
  if (share === undefined) return made
  const bar = element('span', 'bar-of', element('span', ''))
  bar.firstChild.style.width = Math.min(100, Math.max(0, share)) + '%'
  made.append(bar)
  return made
}

const rounded = (value, unit) => (value === null ? '–' : Math.round(value).toLocaleString('en') + ' ' + unit)

function liveAgent(agent) {
  const doing = [agent.task_id, agent.doing ?? (agent.status === 'spawned' ? 'is starting' : null)]
  const link = element('a', 'live',
    stateOf(agent.health_status),
    element('span', 'type', agent.agent_type),
    element('span', 'mono quiet', agent.agent_id),
    element('span', 'doing', doing.filter(Boolean).join(' · ')),
    element('span', 'gauges',
      gauge('CPU', rounded(agent.cpu_percent, '%'), agent.cpu_percent ?? 0),
      gauge('Memory', rounded(agent.memory_mb, 'MB')),
      gauge('Heartbeat', rounded(agent.seconds_since_heartbeat, 's') + ' ago'),
      gauge('Up', duration(agent.uptime_seconds * 1000)),
      gauge('Cost', (agent.cost_estimated ? '~ ' : '') + money(agent.cost_usd))))
  link.href = '/sessions/' + encodeURIComponent(agent.session_id)
  return element('li', '', link)
}

function liveAgents({ agents }) {
  if (agents.length > 0) return element('ul', 'rows', ...agents.map(liveAgent))
  return element('p', 'empty', 'No agent runs.')
}

/** How many there are, and what needs somebody. */
function healthLine({ agents_healthy, agents_stalled, agents_dead }) {
  const part = (count, health) => (count > 0 ? stateOf(health, count + ' ' + health) : null)
  return element('span', 'health', part(agents_healthy, 'healthy'), part(agents_stalled, 'stalled'), part(agents_dead, 'dead'))
}

function typeCard(type) {
  const busy = type.active > 0 ? type.active + ' running' : 'idle'
  const waiting = type.waiting > 0 ? ' · ' + type.waiting + ' waiting' : ''
  return element('div', 'card',
    element('h3', '', type.name),
    element('p', '', type.description),
    element('div', 'row',
      element('span', type.active > 0 ? 'state running' : 'state', busy + waiting),
      element('span', 'quiet', type.model)))
}

function sessionRow(session) {
  const link = element('a', 'session',
    stateOf(session.status),
    element('span', 'type', session.agent_type),
    element('span', 'what', (session.task_id ? session.task_id + ' · ' : '') + (session.task_description ?? '')),
    element('span', 'numbers', numbersOf(session)))
  link.href = '/sessions/' + encodeURIComponent(session.session_id)
  return element('li', '', link)
}

function numbersOf(session) {
  if (session.status === 'queued' && session.waiting_for.length > 0) return 'waits for ' + session.waiting_for.join(', ')
  const why = session.status === 'failed' ? session.failure_reason?.replaceAll('_', ' ') : null
  return [why, ranFor(session), session.estimated_cost_usd > 0 ? money(session.estimated_cost_usd) : null, ago(session.created_at)]
    .filter(Boolean).join(' · ')
}

function sessionList(sessions) {
  if (sessions.length > 0) return element('ul', 'rows', ...sessions.map(sessionRow))
  if (show !== 'all' || search.value.trim() !== '' || pick.value !== '') return element('p', 'empty', 'None.')
  return element('p', 'empty', 'No session yet. Ask for one: ', element('code', '', 'drover spawn architect "…"'))
}

async function shownSessions() {
  const filter = new URLSearchParams({ limit: shown })
  if (show !== 'all') filter.set('status', show === 'open' ? OPEN_STATES.join(',') : show)
  const q = search.value.trim()
  if (q !== '') filter.set('q', q)
  if (pick.value !== '') filter.set('agent_type', pick.value)
  return await ask('/sessions?' + filter)
}

/** A list that ends says so, and how it goes on. */
function putSessions({ sessions, next_cursor }) {
  put('sessions', sessionList(sessions))
  more.hidden = next_cursor === null || shown >= MOST_SHOWN
  const rest = document.getElementById('rest')
  rest.hidden = next_cursor === null || shown < MOST_SHOWN
  rest.textContent = 'These are the newest ' + sessions.length + '. A search finds older ones, and drover sessions list has all.'
}

/** The words around a hit, with those that were looked for marked. */
function snippetOf({ snippet, matches }) {
  const parts = []
  let at = 0
  for (const [from, to] of matches) {
    parts.push(snippet.slice(at, from), element('mark', '', snippet.slice(from, to)))
    at = to
  }
  return element('span', 'said', ...parts, snippet.slice(at))
}

function hitRow(hit) {
  const link = element('a', 'hit',
    element('span', 'type', hit.agent_id ?? hit.agent_type),
    element('span', 'numbers', ago(hit.ts)),
    snippetOf(hit))
  link.href = '/sessions/' + encodeURIComponent(hit.session_id) + '#' + hit.seq
  return element('li', '', link)
}

/** A text without a letter or digit has no words to look for. */
const WORD = /[\p{L}\p{N}]/u

async function shownHits() {
  const q = search.value.trim()
  if (!WORD.test(q)) return null
  const filter = new URLSearchParams({ q, limit: HITS })
  if (pick.value !== '') filter.set('agent_type', pick.value)
  return (await ask('/search?' + filter)).hits
}

function putHits(hits) {
  document.getElementById('said-section').hidden = hits === null
  if (hits === null) return
  put('said', hits.length > 0 ? element('ul', 'rows', ...hits.map(hitRow)) : element('p', 'empty', 'Nothing.'))
}

/** The types that are served now, and the one that was picked. */
function offerTypes(types) {
  const names = [...new Set([...types.map((type) => type.name), pick.value])].filter(Boolean)
  const offered = [...pick.options].slice(1).map((option) => option.value)
  if (names.join() === offered.join()) return
  const picked = pick.value
  pick.replaceChildren(pick.options[0], ...names.map((name) => new Option(name, name)))
  pick.value = picked
}

function wanted() {
  return [show, shown, pick.value, search.value.trim()].join('\n')
}

async function refresh() {
  const asked = wanted()
  const all = await Promise.allSettled([
    shownSessions(), ask('/agent-types'), shownHits(), ask('/monitor'), ...overview(),
  ])
  const [sessions, types, hits, monitor] = all
  // Something else is wanted meanwhile: its own answer is on the way.
  if (asked !== wanted()) return
  if (sessions.status === 'fulfilled') putSessions(sessions.value)
  if (types.status === 'fulfilled') put('types', element('div', '', ...types.value.agent_types.map(typeCard)))
  if (types.status === 'fulfilled') offerTypes(types.value.agent_types)
  if (hits.status === 'fulfilled') putHits(hits.value)
  if (monitor.status === 'fulfilled') {
    put('live', liveAgents(monitor.value))
    put('health', healthLine(monitor.value))
  }
  const failed = all.find((one) => one.status === 'rejected')
  sayOffline(failed ? failed.reason.message : null)
}

for (const button of document.querySelectorAll('[data-show]')) {
  button.addEventListener('click', () => {
    show = button.dataset.show
    shown = SHOWN
    for (const other of document.querySelectorAll('[data-show]')) other.ariaPressed = String(other === button)
    refresh()
  })
}
more.addEventListener('click', () => {
  shown += SHOWN
  refresh()
})
pick.addEventListener('change', refresh)
let typed
search.addEventListener('input', () => {
  clearTimeout(typed)
  typed = setTimeout(refresh, 200)
})
keepFresh(refresh, REFRESH_MS)
`

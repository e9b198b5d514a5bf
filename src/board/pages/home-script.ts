/** The landing page's script: agent types and sessions, asked for every few seconds. */
export const HOME_SCRIPT = String.raw`'use strict'

const REFRESH_MS = 3000
const SHOWN = 50
const HITS = 20
let show = 'all'
const search = document.getElementById('q')
const pick = document.getElementById('type')

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
  return [ranFor(session), session.estimated_cost_usd > 0 ? money(session.estimated_cost_usd) : null, ago(session.created_at)]
    .filter(Boolean).join(' · ')
}

function sessionList(sessions) {
  if (sessions.length > 0) return element('ul', 'rows', ...sessions.map(sessionRow))
  if (show !== 'all' || search.value.trim() !== '' || pick.value !== '') return element('p', 'empty', 'None.')
  return element('p', 'empty', 'No session yet. Ask for one: ', element('code', '', 'drover spawn architect "…"'))
}

async function shownSessions() {
  const filter = new URLSearchParams({ limit: SHOWN })
  if (show !== 'all') filter.set('status', show === 'open' ? OPEN_STATES.join(',') : show)
  const q = search.value.trim()
  if (q !== '') filter.set('q', q)
  if (pick.value !== '') filter.set('agent_type', pick.value)
  return (await ask('/sessions?' + filter)).sessions
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

/** Replaces what is shown only where it changed, so that focus and selection stay. */
function put(id, made) {
  const place = document.getElementById(id)
  if (place.textContent === made.textContent && place.firstChild) return
  const focused = document.activeElement?.getAttribute?.('href')
  place.replaceChildren(...(id === 'types' ? made.children : [made]))
  if (focused) [...place.querySelectorAll('a')].find((link) => link.getAttribute('href') === focused)?.focus()
}

function wanted() {
  return [show, pick.value, search.value.trim()].join('\n')
}

async function refresh() {
  const asked = wanted()
  const [sessions, types, hits] = await Promise.allSettled([shownSessions(), ask('/agent-types'), shownHits()])
  // Something else is wanted meanwhile: its own answer is on the way.
  if (asked !== wanted()) return
  if (sessions.status === 'fulfilled') put('sessions', sessionList(sessions.value))
  if (types.status === 'fulfilled') put('types', element('div', '', ...types.value.agent_types.map(typeCard)))
  if (types.status === 'fulfilled') offerTypes(types.value.agent_types)
  if (hits.status === 'fulfilled') putHits(hits.value)
  const failed = [sessions, types, hits].find((one) => one.status === 'rejected')
  sayOffline(failed ? failed.reason.message : null)
}

for (const button of document.querySelectorAll('[data-show]')) {
  button.addEventListener('click', () => {
    show = button.dataset.show
    for (const other of document.querySelectorAll('[data-show]')) other.ariaPressed = String(other === button)
    refresh()
  })
}
pick.addEventListener('change', refresh)
let typed
search.addEventListener('input', () => {
  clearTimeout(typed)
  typed = setTimeout(refresh, 200)
})
keepFresh(refresh, REFRESH_MS)
`

/** The landing page's script: agent types and sessions, asked for every few seconds. */
export const HOME_SCRIPT = String.raw`'use strict'

const REFRESH_MS = 3000
const SHOWN = 50
let show = 'all'
const search = document.getElementById('q')

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
  if (show !== 'all' || search.value.trim() !== '') return element('p', 'empty', 'None.')
  return element('p', 'empty', 'No session yet. Ask for one: ', element('code', '', 'drover spawn architect "…"'))
}

async function shownSessions() {
  const filter = new URLSearchParams({ limit: SHOWN })
  if (show !== 'all') filter.set('status', show === 'open' ? OPEN_STATES.join(',') : show)
  const q = search.value.trim()
  if (q !== '') filter.set('q', q)
  return (await ask('/sessions?' + filter)).sessions
}

/** Replaces what is shown only where it changed, so that focus and selection stay. */
function put(id, made) {
  const place = document.getElementById(id)
  if (place.textContent === made.textContent && place.firstChild) return
  const focused = document.activeElement?.getAttribute?.('href')
  place.replaceChildren(...(id === 'types' ? made.children : [made]))
  if (focused) [...place.querySelectorAll('a')].find((link) => link.getAttribute('href') === focused)?.focus()
}

async function refresh() {
  const [sessions, types] = await Promise.allSettled([shownSessions(), ask('/agent-types')])
  if (sessions.status === 'fulfilled') put('sessions', sessionList(sessions.value))
  if (types.status === 'fulfilled') put('types', element('div', '', ...types.value.agent_types.map(typeCard)))
  const failed = [sessions, types].find((one) => one.status === 'rejected')
  sayOffline(failed ? failed.reason.message : null)
}

for (const button of document.querySelectorAll('[data-show]')) {
  button.addEventListener('click', () => {
    show = button.dataset.show
    for (const other of document.querySelectorAll('[data-show]')) other.ariaPressed = String(other === button)
    refresh()
  })
}
let typed
search.addEventListener('input', () => {
  clearTimeout(typed)
  typed = setTimeout(refresh, 200)
})
keepFresh(refresh, REFRESH_MS)
`

/** What all scripts of the pages use. Text of agents reaches the page through `textContent` alone. */
export const SHARED_SCRIPT = String.raw`'use strict'

/** An element with a class, text or children. */
function element(tag, className, ...children) {
  const made = document.createElement(tag)
  if (className) made.className = className
  made.append(...children.filter((child) => child !== null && child !== undefined))
  return made
}

/** A figure or a text with its name, for a list of them; null where there is none. */
function fact(name, value, className) {
  if (value === null || value === undefined || value === '') return null
  return element('div', className ?? '', element('dt', '', name), element('dd', '', value instanceof Node ? value : String(value)))
}

const LONGEST_TEXT = 20000

function cut(text) {
  return text.length <= LONGEST_TEXT ? text : text.slice(0, LONGEST_TEXT) + '\n… ' + (text.length - LONGEST_TEXT) + ' more characters'
}

function stateOf(state, text) {
  return element('span', 'state ' + state, text ?? state.replaceAll('_', ' '))
}

function money(usd) {
  if (usd === 0) return '$0'
  return '$' + usd.toFixed(usd < 0.1 ? 4 : 2)
}

function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return seconds + ' s'
  if (seconds < 3600) return Math.floor(seconds / 60) + ' min ' + (seconds % 60) + ' s'
  return Math.floor(seconds / 3600) + ' h ' + Math.floor((seconds % 3600) / 60) + ' min'
}

function ago(iso) {
  const ms = Date.now() - Date.parse(iso)
  if (ms < 60000) return 'just now'
  if (ms < 3600000) return Math.floor(ms / 60000) + ' min ago'
  if (ms < 86400000) return Math.floor(ms / 3600000) + ' h ago'
  return new Date(iso).toLocaleDateString()
}

/** A moment on this machine's clock, 24 hours, with its zone. */
function stamp(iso) {
  const two = '2-digit'
  return new Date(iso).toLocaleString('sv-SE', {
    year: 'numeric', month: two, day: two, hour: two, minute: two, second: two, timeZoneName: 'short',
  })
}

/** The recorder is a moment behind by its nature. */
const STALE_SECONDS = 5

/** Says how old an answer is where it is older than it should be. */
function sayStale({ as_of, stale_seconds }) {
  const place = document.getElementById('stale')
  place.hidden = as_of === null || (stale_seconds !== null && stale_seconds < STALE_SECONDS)
  if (place.hidden) return
  place.textContent = stale_seconds === null
    ? 'Redis does not answer: this is as of ' + stamp(as_of) + '. What happened since is not known.'
    : 'The record is behind: this is as of ' + stamp(as_of) + '. What happened since will be shown when it is recorded.'
}

const OPEN_STATES = ['queued', 'starting', 'running', 'restarting', 'paused_limit', 'waiting_input', 'waiting_workspace']

function isOpen(session) {
  return OPEN_STATES.includes(session.status)
}

/** How long it ran, or has been running. */
function ranFor(session) {
  if (!session.started_at) return null
  if (session.duration_ms) return duration(session.duration_ms)
  return duration((session.completed_at ? Date.parse(session.completed_at) : Date.now()) - Date.parse(session.started_at))
}

/** A board that is frozen takes connections and answers none. */
const ANSWER_MS = 15000

/** The answer of the API; throws its sentence where it is a failure. */
async function ask(path) {
  let answer
  try {
    const signal = AbortSignal.timeout(ANSWER_MS)
    const response = await fetch('/api/v1' + path, { headers: { accept: 'application/json' }, signal })
    answer = await response.json()
  } catch {
    throw new Error('The board does not answer. It may have been stopped; this page tries again.')
  }
  if (answer.success !== true) throw Object.assign(new Error(answer.message), { code: answer.error })
  if ('as_of' in answer) sayStale(answer)
  return answer
}

/** Asks the API to do something, with a key at most once; throws its sentence where it does not. */
async function tell(path, body, key) {
  const headers = { accept: 'application/json', 'content-type': 'application/json' }
  if (key !== undefined) headers['idempotency-key'] = key
  let response
  try {
    response = await fetch('/api/v1' + path, { method: 'POST', headers, body: JSON.stringify(body) })
  } catch {
    throw new Error('The board does not answer. It may have been stopped; try again.')
  }
  const answer = await response.json()
  if (answer.success !== true) throw new Error(answer.message)
  return answer
}

/** Replaces what is shown only where it changed, so that focus and selection stay. */
function put(id, made) {
  const place = document.getElementById(id)
  if (place.textContent === made.textContent && place.firstChild) return
  const focused = document.activeElement?.getAttribute?.('href')
  place.replaceChildren(...(['DIV', 'DL'].includes(made.tagName) ? made.children : [made]))
  if (focused) [...place.querySelectorAll('a')].find((link) => link.getAttribute('href') === focused)?.focus()
}

/** Says what is wrong at the top of the page; null takes it away. */
function sayOffline(message) {
  const place = document.getElementById('offline')
  place.hidden = message === null
  place.textContent = message ?? ''
}

/** Calls work now and every so often while the page is seen. */
function keepFresh(work, everyMs) {
  let timer
  const again = async () => {
    clearTimeout(timer)
    if (document.hidden) return
    if ((await work()) === 'enough') return
    timer = setTimeout(again, everyMs)
  }
  document.addEventListener('visibilitychange', again)
  again()
}
`

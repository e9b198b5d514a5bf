/** What a person says to a session on its page: answers to its questions, messages, an end, a restart. */
export const TALK_SCRIPT = String.raw`'use strict'

const AGAIN = ['failed', 'cancelled']

/** Asks the API; its refusal is said beside the button, which may be clicked again. */
async function asked(buttons, place, work) {
  for (const button of buttons) button.disabled = true
  place.textContent = ''
  try {
    await work()
  } catch (error) {
    place.textContent = error.message
  } finally {
    for (const button of buttons) button.disabled = false
  }
  void refresh()
}

function pathTo(what) {
  return '/sessions/' + encodeURIComponent(sessionId) + '/' + what
}

// ---- its questions

/** Signs that turn, hide or join what is read stand for themselves: an agent chose them, and a person trusts his eyes. */
function visible(text) {
  return text.replace(/[^\P{C}\n\t]|[\u2028\u2029]/gu, (sign) => '\\u{' + sign.codePointAt(0).toString(16) + '}')
}

/** What the tool would be given, member by member; the lines of a command are lines. */
function inputOf(input) {
  const members = typeof input === 'object' && input !== null ? Object.entries(input) : [['input', input]]
  return element('dl', 'input', ...members.flatMap(([name, value]) => [
    element('dt', '', visible(name)),
    element('dd', '', element('pre', '', cut(visible(typeof value === 'string' ? value : JSON.stringify(value, null, 2))))),
  ]))
}

function questionRow(question) {
  const refused = element('span', 'bad')
  refused.setAttribute('role', 'alert')
  const buttons = [['allow', 'Allow'], ['deny', 'Deny']].map(([behavior, words]) => {
    const button = element('button', 'button', words)
    button.addEventListener('click', () => void asked(buttons, refused, () =>
      tell(pathTo('permissions'), { request_id: question.request_id, behavior })))
    return button
  })
  return element('li', 'question',
    element('div', '', 'Asks to use ', element('span', 'mono', question.tool_name),
      element('span', 'quiet', '. Without an answer it is denied at ' + stamp(question.until) + '.')),
    inputOf(question.input),
    element('div', 'choices', ...buttons, refused))
}

let shownQuestions = ''

/** Drawn again only when they are others: a click must find its button. */
function showQuestions(questions) {
  const open = questions.filter((question) => question.open)
  const ids = open.map((question) => question.request_id).join()
  if (ids === shownQuestions) return
  shownQuestions = ids
  const place = document.getElementById('questions')
  place.hidden = open.length === 0
  place.replaceChildren(element('ul', 'rows', ...open.map(questionRow)))
}

// ---- messages, the end, a restart

const say = document.getElementById('say')
const sayText = document.getElementById('say-text')
const killButton = document.getElementById('kill')
const restartButton = document.getElementById('restart')
const done = document.getElementById('done')
/** Of the text that is in the field: it is sent once, however often its answer is lost. */
let messageKey = null

function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** For what the session waits: its events say so. */
let isInterrupted = false

function showControls(session) {
  sayText.placeholder = session.status === 'waiting_input' && isInterrupted
    ? 'It was interrupted: it goes on with your message, and ends without one'
    : 'Say something to its agent'
  say.hidden = !isOpen(session)
  killButton.hidden = !isOpen(session)
  restartButton.hidden = !AGAIN.includes(session.status)
}

sayText.addEventListener('input', () => { messageKey = null })
say.addEventListener('submit', (event) => {
  event.preventDefault()
  const text = sayText.value
  if (text.trim() === '') return
  messageKey ??= newKey()
  void asked([say.querySelector('button')], done, async () => {
    const answer = await tell(pathTo('messages'), { text }, messageKey)
    if (sayText.value === text) sayText.value = ''
    messageKey = null
    done.textContent = answer.message
  })
})
killButton.addEventListener('click', () => {
  if (!confirm('End this session? Its agent is stopped, and it is not started again.')) return
  void asked([killButton], done, () => tell(pathTo('kill'), { reason: 'asked for on its page' }))
})
restartButton.addEventListener('click', () => void asked([restartButton], done, async () => {
  const answer = await tell(pathTo('restart'), {})
  if (answer.session_id !== sessionId) location.href = '/sessions/' + encodeURIComponent(answer.session_id)
}))
`

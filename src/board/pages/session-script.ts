/** The script of a session's page: its row every few seconds, its events as they happen. */
export const SESSION_SCRIPT = String.raw`'use strict'

const REFRESH_MS = 3000
/** A page is no archive: the oldest entries leave it. */
const MOST_ENTRIES = 2000

const sessionId = decodeURIComponent(location.pathname.split('/')[2] ?? '')
const events = document.getElementById('events')
const live = document.getElementById('live')
/** The event that a search led to. */
const target = location.hash.slice(1)
let left = 0
let ended = false

document.getElementById('crumb').textContent = sessionId
document.getElementById('export').href = '/api/v1/sessions/' + encodeURIComponent(sessionId) + '/export?format=markdown'

// ---- the session's row

function sessionLink(id, text) {
  const link = element('a', '', text)
  link.href = '/sessions/' + encodeURIComponent(id)
  return link
}

/** Children are the sessions that its agents asked for, and restarts of it. */
function childrenOf(children) {
  if (children.length === 0) return null
  return element('span', '', ...children.flatMap((child, index) => [
    index > 0 ? ', ' : null,
    sessionLink(child.session_id, child.agent_type),
    ' ' + child.status.replaceAll('_', ' ') + (child.restart_of === null ? '' : ' (restart)'),
  ]))
}

function treeOf(tree) {
  if (tree.sessions < 2) return null
  return tree.sessions + ' sessions · ' + money(tree.cost_usd) + (tree.estimated ? ' (estimated)' : '')
}

function tokens(session) {
  const input = session.input_tokens + session.cache_read_tokens + session.cache_creation_tokens
  return input.toLocaleString('en') + ' in · ' + session.output_tokens.toLocaleString('en') + ' out'
}

/** Messages that no agent has: yet, or for good. Those that one has are in the transcript. */
function unreadOf(messages) {
  const unread = messages.filter(({ status }) => status !== 'delivered').map(({ status, text }) => status + ': ' + firstLine(text))
  return unread.length === 0 ? null : element('span', 'lines', unread.join('\n'))
}

/** What of it is not in the ledger, or not any more. */
function recordOf(session, gaps) {
  const lost = gaps.slice(0, 5).map(({ agent_id, first, last }) =>
    (agent_id === null ? 'events ' : 'lines ') + first + '–' + last + (agent_id === null ? '' : ' of ' + agent_id))
  return [
    session.incomplete ? 'incomplete: ' + (lost.length > 0 ? lost.join(', ') + ' missing' : 'something is missing') : null,
    session.pruned_at === null ? null : 'raw lines taken away by retention on ' + stamp(session.pruned_at) + '; totals and results stay',
  ].filter(Boolean).join('; ')
}

function factsOf({ session, children, tree, gaps, messages }, why) {
  const started = session.started_at !== null
  return [
    fact('Task', session.task_id),
    fact('Waits for', session.waiting_for.join(', ')),
    fact('Why it waits', why, 'wide'),
    fact('Accepted', stamp(session.created_at)),
    fact('Duration', ranFor(session)),
    fact('Turns', started ? session.num_turns : null),
    fact('Tokens', started ? tokens(session) : null),
    fact('Cost', started ? money(session.estimated_cost_usd) + (session.cost_estimated ? ' (estimated)' : '') : null),
    fact('Restarts', session.restarts > 0 ? session.restarts : null),
    fact('Pod', session.pod_id),
    fact('Asked for by', session.orchestrator_id, 'wide'),
    fact('Parent', session.created_by === null ? null : sessionLink(session.created_by, session.created_by)),
    fact('Restart of', session.restart_of === null ? null : sessionLink(session.restart_of, session.restart_of)),
    fact('Children', childrenOf(children), 'wide'),
    fact('Whole tree', treeOf(tree)),
    fact('Record', recordOf(session, gaps), 'wide'),
    fact('Messages', unreadOf(messages), 'wide'),
    fact('Workspace', session.workspace_dir, 'wide'),
  ].filter(Boolean)
}

/** Drawn once, it never changes: who reads or copies it is left alone. */
function showPrompt(text) {
  const place = document.getElementById('prompt')
  if (place.firstChild || text === '') return
  const isShort = text.length <= 600 && text.split('\n').length <= 12
  place.append(element('div', 'label', 'Prompt'), isShort ? element('div', 'text', text) : folded(firstLine(text), text))
  place.hidden = false
}

function agentRow(agent) {
  const how = [
    agent.pid === null ? null : 'pid ' + agent.pid,
    agent.exit_code === null ? null : 'exit ' + agent.exit_code,
    agent.exit_signal,
    agent.error_message,
  ].filter(Boolean).join(' · ')
  return element('li', '', element('div', 'agent',
    stateOf(agent.status), element('span', 'mono', agent.agent_id), element('span', 'quiet', how)))
}

// ---- all of it

async function refresh() {
  try {
    const answer = await ask('/sessions/' + encodeURIComponent(sessionId))
    const { session, agents, questions } = answer
    // Left out where it cannot be asked.
    const why = await whyQueued(session).catch(() => null)
    document.title = session.agent_type + ' · Drover'
    document.getElementById('title').textContent = session.agent_type
    document.getElementById('state').replaceChildren(stateOf(session.status))
    document.getElementById('facts').replaceChildren(...factsOf(answer, why))
    showPrompt(session.task_description ?? '')
    showQuestions(questions)
    showControls(session)
    const problem = document.getElementById('problem')
    problem.hidden = !session.error_message
    problem.textContent = [session.status === 'failed' ? session.failure_reason : null, session.error_message].filter(Boolean).join(': ')
    document.getElementById('agents-section').hidden = agents.length === 0
    document.getElementById('agents').replaceChildren(element('ul', 'rows', ...agents.map(agentRow)))
    sayOffline(null)
    if (!isOpen(session) && ended) return 'enough'
  } catch (error) {
    sayOffline(error.message)
    if (error.code !== 'session_not_found') return
    document.getElementById('events-section').hidden = true
    return 'enough'
  }
}

// ---- its events

/** What is unfolded on demand. */
function folded(summary, text) {
  if (text === '') return element('span', 'quiet', summary)
  return element('details', '', element('summary', '', summary), element('pre', '', cut(text)))
}

function turns(count) {
  return (count ?? '?') + (count === 1 ? ' turn' : ' turns')
}

function firstLine(text) {
  const line = text.trim().split('\n', 1)[0]
  return line.length <= 120 ? line : line.slice(0, 120) + '…'
}

function textOf(content) {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return content === undefined ? '' : JSON.stringify(content, null, 2)
  return content.map((block) => block?.text ?? JSON.stringify(block)).join('\n')
}

/** The few arguments that say what a tool call is about. */
function aim(input) {
  if (typeof input !== 'object' || input === null) return ''
  const said = input.command ?? input.file_path ?? input.path ?? input.pattern ?? input.query ?? input.url ?? input.task ?? input.prompt ?? input.text ??
    input.description
  return typeof said === 'string' ? firstLine(said) : ''
}

/** Entries of a line of the CLI: what the agent said and did. */
function linesOfClaude(event) {
  const { type, payload } = event
  if (type === 'claude.system.init') return [['own', 'Started with ' + payload.model]]
  if (type.startsWith('claude.result')) {
    const bad = payload?.is_error === true
    return [[bad ? 'own bad' : 'own', (bad ? 'Failed' : 'Done') + ' after ' + turns(payload?.num_turns)]]
  }
  const content = payload?.message?.content
  if (typeof content === 'string') return [[type.startsWith('claude.user') ? 'own' : 'say', folded('Message: ' + firstLine(content), content)]]
  if (!Array.isArray(content)) return []
  return content.map(entryOfBlock).filter(Boolean)
}

function entryOfBlock(block) {
  switch (block?.type) {
    case 'text':
      return ['say', cut(String(block.text))]
    case 'thinking':
      return block.thinking ? ['own', folded('Thinking', String(block.thinking))] : null
    case 'tool_use':
      return ['tool', element('span', '',
        element('span', 'name', String(block.name)), ' ' + aim(block.input),
        folded('input', JSON.stringify(block.input, null, 2)))]
    case 'tool_result': {
      const text = textOf(block.content)
      const size = text.length > 120 || text.includes('\n') ? text : ''
      return [block.is_error ? 'tool bad' : 'tool', folded((block.is_error ? '✗ ' : '← ') + (firstLine(text) || 'no output'), size)]
    }
    default:
      return null
  }
}

/** 'drover.task.spawned' → Task spawned */
function inWords(type) {
  const words = type.replace('drover.', '').replaceAll(/[._]/g, ' ')
  return words[0].toUpperCase() + words.slice(1)
}

/** Drover's own events, each in a few words. */
function lineOfDrover({ type, agent_id, payload }) {
  switch (type) {
    case 'drover.session.accepted':
      return ['own', 'Accepted from ' + (payload.actor?.via ?? '?')]
    case 'drover.session.claimed':
      return ['own', 'Taken by pod ' + payload.pod_id]
    case 'drover.session.restarting':
      return ['own bad', 'Restart ' + payload.restarts + ': ' + payload.message]
    case 'drover.session.ended':
      // Who ended it is in the message.
      if (payload.status === 'cancelled' && payload.message) return ['own bad', payload.message]
      return [payload.status === 'completed' ? 'own' : 'own bad', 'Session ' + payload.status + (payload.message ? ': ' + payload.message : '')]
    case 'drover.session.cancel_requested':
      return ['own bad', 'Its end asked for from ' + (payload.actor?.via ?? '?')]
    case 'drover.session.waiting_input':
      return ['own bad', payload.reason === 'interrupted'
        ? 'Interrupted: waits for a message until ' + stamp(payload.until)
        : 'Asks to use ' + payload.tool_name]
    case 'drover.session.interrupt_requested':
      return ['own bad', 'Interrupt asked for from ' + (payload.actor?.via ?? '?')]
    case 'drover.message.sent':
      return payload.channel === undefined ? ['own', folded('Message from ' + (payload.actor?.via ?? '?') + ': ' + firstLine(payload.text), payload.text)] : ['own', inWords(type)]
    case 'drover.message.answered':
      return payload.behavior === undefined ? ['own', inWords(type)]
        : ['own', payload.tool_name + (payload.behavior === 'allow' ? ' allowed' : ' denied') + ' from ' + (payload.actor?.via ?? '?')]
    case 'drover.agent.spawned':
      return ['own', 'Agent ' + agent_id + (payload.resumed ? ' resumes' : ' starts')]
    case 'drover.agent.started':
      return ['own', 'Agent runs as pid ' + payload.pid + ', confirmed after ' + payload.startup_ms + ' ms']
    case 'drover.agent.stalled':
      return ['own bad', 'Agent is stalled']
    case 'drover.agent.health':
      return ['own', 'Health: ' + payload.health_status + (payload.message ? ': ' + payload.message : '')]
    case 'drover.agent.killed':
      return ['own bad', 'Agent was ended with ' + payload.signal + ': ' + payload.reason]
    case 'drover.agent.exited':
      return [payload.status === 'completed' ? 'own' : 'own bad', 'Agent ' + payload.status + (payload.message ? ': ' + payload.message : '')]
    case 'drover.agent.closed':
      return null
    default:
      return ['own', inWords(type)]
  }
}

function entry(event, [kind, body]) {
  const time = element('time', '', new Date(event.ts).toLocaleTimeString('en-GB'))
  time.dateTime = event.ts
  time.title = event.ts + ' · ' + event.type + ' · ' + event.seq
  const made = element('li', 'event ' + kind, time, element('div', 'body', body))
  if (String(event.seq) === target) {
    made.classList.add('target')
    // Until the reader moves, what comes after it does not take it out of sight.
    requestAnimationFrame(() => made.scrollIntoView({ block: 'center' }))
  }
  return made
}

function add(event) {
  if (event.type === 'drover.session.waiting_input') isInterrupted = event.payload.reason === 'interrupted'
  const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 40
  const entries = event.type.startsWith('claude.') ? linesOfClaude(event) : [lineOfDrover(event)].filter(Boolean)
  for (const made of entries) events.append(entry(event, made))
  while (events.childElementCount > MOST_ENTRIES) {
    events.firstElementChild.remove()
    left += 1
  }
  const note = document.getElementById('cut')
  note.hidden = left === 0
  note.textContent = left + ' older entries are not shown; drover sessions show has all of them.'
  // Who reads on further up is left alone.
  if (atEnd && !ended && target === '' && entries.length > 0 && events.childElementCount > 20) scrollTo(0, document.documentElement.scrollHeight)
}

function follow() {
  const source = new EventSource('/api/v1/sessions/' + encodeURIComponent(sessionId) + '/events')
  live.textContent = 'connecting'
  source.onopen = () => { live.textContent = 'live' }
  source.onmessage = (message) => {
    let event
    try {
      event = JSON.parse(message.data)
    } catch {
      return
    }
    try {
      add(event)
    } catch {
      // An agent may print anything: what has an unknown shape is named, not hidden.
      events.append(entry(event, ['own', event.type]))
    }
    if (event.type.startsWith('drover.')) void refresh()
  }
  source.addEventListener('end', () => {
    ended = true
    source.close()
    live.textContent = 'ended'
    void refresh()
  })
  // The browser comes back by itself, with the last id it has; a refusal is said by the session's row.
  source.onerror = () => { live.textContent = source.readyState === EventSource.CLOSED ? '' : 'connecting' }
}

keepFresh(refresh, REFRESH_MS)
follow()
`

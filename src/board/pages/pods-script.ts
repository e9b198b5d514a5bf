/** What both pages say of the pods: which take work, and why a session does not start. */
export const PODS_SCRIPT = String.raw`'use strict'

const NO_POD = 'No pod is there, so nothing starts: drover up, or drover worker, brings one.'

/** How many take work, and why the others do not. */
function podNotes(pods) {
  if (pods.length === 0) return [element('p', 'problem late', NO_POD)]
  const ready = pods.filter((pod) => pod.state === 'ready').length
  // What starts is ready in a moment, and has nothing to say.
  const others = pods.filter((pod) => pod.state !== 'ready' && pod.state !== 'starting').map((pod) =>
    element('p', 'pod quiet', element('span', 'mono', pod.pod_id), ' takes no session: ' + (pod.why ?? pod.state)))
  return [element('p', 'pod quiet', 'Pods that take sessions: ' + ready + ' of ' + pods.length), ...others]
}

/** Why a queued session does not start, in a sentence; null where that is said otherwise. */
async function whyQueued({ status, agent_type, waiting_for }) {
  if (status !== 'queued' || waiting_for.length > 0) return null
  const [{ pods }, { agent_types }] = await Promise.all([ask('/pods'), ask('/agent-types')])
  if (pods.length === 0) return NO_POD
  const serving = pods.filter((pod) => pod.agent_types.includes(agent_type))
  if (serving.length === 0) return 'No pod serves ' + agent_type + '.'
  if (serving.every((pod) => pod.state !== 'ready' && pod.state !== 'starting'))
    return 'No pod that serves ' + agent_type + ' takes a session: ' + serving.map((pod) => pod.pod_id + ': ' + (pod.why ?? pod.state)).join(' ')
  const type = agent_types.find(({ name }) => name === agent_type)
  return type === undefined || type.active === 0 ? null
    : 'It is not its turn: of its type ' + type.active + ' running, ' + type.waiting + ' waiting.'
}
`

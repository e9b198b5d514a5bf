/**
 * What an agent reaches over HTTP with its session's token: for each tool of the orchestrator that its spec grants, the
 * routes that do what the tool does, and no other one. A route that is not here is closed to agents; a tool that is
 * not here does not compile.
 */
import type { OrchestratorTool } from '../config/agent-spec.ts'

const API = '/api/v1'
/** The tools themselves, and what there is to be asked for. */
const WITH_ANY = ['GET /mcp', 'POST /mcp', 'DELETE /mcp', `GET ${API}/openapi.json`]

const WAIT = [`GET ${API}/sessions/:id`, `GET ${API}/sessions/:id/events`]
const ASK = [`POST ${API}/sessions`]
/** A task is a session that is asked for, for later. */
const TASKS = [`POST ${API}/tasks`, `GET ${API}/tasks`, `GET ${API}/tasks/:id`, `GET ${API}/task-graph`]
const TYPES = [`GET ${API}/agent-types`, `GET ${API}/agent-types/:type`]
const MESSAGES = `POST ${API}/messages`

const ROUTES: Readonly<Record<OrchestratorTool, readonly string[]>> = {
  spawn_agent: [...ASK, ...WAIT, ...TASKS],
  spawn_agent_async: [...ASK, ...TASKS],
  check_session: [
    `GET ${API}/sessions`,
    ...WAIT,
    `GET ${API}/sessions/:id/export`,
    `GET ${API}/events`,
    `GET ${API}/search`,
    `GET ${API}/agents/:id`,
  ],
  wait_session: [...WAIT, `GET ${API}/events`],
  kill_agent: [
    `POST ${API}/sessions/:id/kill`,
    `POST ${API}/sessions/:id/interrupt`,
    `POST ${API}/agents/kill-stalled`,
    `POST ${API}/tasks/:id/cancel`,
  ],
  restart_agent: [
    `POST ${API}/sessions/:id/restart`,
    `POST ${API}/sessions/restart-failed`,
    `POST ${API}/tasks/:id/retry`,
  ],
  send_to_agent: [`POST ${API}/sessions/:id/messages`],
  search_agents: TYPES,
  list_agent_types: TYPES,
  get_active_sessions: [`GET ${API}/sessions`, `GET ${API}/agents`, `GET ${API}/monitor`, `GET ${API}/pods`],
  send_message: [MESSAGES, `${MESSAGES}/broadcast`, `${MESSAGES}/:id/reply`],
  broadcast: [`${MESSAGES}/broadcast`],
  check_inbox: [
    `${MESSAGES}/inbox`,
    `${MESSAGES}/:id/acknowledge`,
    `GET ${API}/messages`,
    `GET ${API}/messages/:id`,
  ],
  reply_to: [`${MESSAGES}/:id/reply`],
  acknowledge: [`${MESSAGES}/:id/acknowledge`],
  get_cost: [`GET ${API}/cost`],
}

/** The tools any of which opens a route to an agent. */
export function toolsFor({
  method,
  url,
}: {
  readonly method: string
  readonly url: string
}): readonly string[] {
  const route = `${method === 'HEAD' ? 'GET' : method} ${url}`
  return Object.entries(ROUTES)
    .filter(([, routes]) => WITH_ANY.includes(route) || routes.includes(route))
    .map(([tool]) => tool)
}

/** Every route that some tool opens. */
export function routesOfTools(): readonly string[] {
  return [...new Set([...WITH_ANY, ...Object.values(ROUTES).flat()])]
}

/** The board that the HTTP commands talk to. */
import type { HttpClient, ListFilter } from '../producer/client.ts'
import type { CliContext } from './program.ts'

/** A client of the configured board. Nothing is sent yet. */
export async function connect(context: CliContext): Promise<HttpClient> {
  const [{ config }, { createHttpClient }] = await Promise.all([
    context.config(),
    import('../producer/client.ts'),
  ])
  return createHttpClient({
    url: config.client.url,
    token: config.client.token,
    userAgent: `drover-cli/${context.version}`,
  })
}

/** True for a board on this machine: its pods see the same files as we do. */
export function isLoopback(url: string): boolean {
  const { hostname } = new URL(url)
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}

/** The options of lists as the query of a request. */
export interface ListOptions {
  readonly status?: string | undefined
  readonly agentType?: string | undefined
  readonly taskId?: string | undefined
  readonly since?: string | undefined
  readonly q?: string | undefined
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}

/** The query that the given options make; what was not given is not in it. */
export function filterOf({ agentType, taskId, ...rest }: ListOptions): ListFilter {
  const given = { agent_type: agentType, task_id: taskId, ...rest }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

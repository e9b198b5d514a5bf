/** The board that the HTTP commands talk to. */
import type { HttpClient } from '../producer/http-client.ts'
import type { EventQuery, ListFilter } from '../producer/queries.ts'
import type { CliContext } from './program.ts'

/** A client of the configured board; `userAgent` says through which door. Nothing is sent yet. */
export async function connect(
  context: CliContext,
  userAgent = `drover-cli/${context.version}`,
): Promise<HttpClient> {
  const [{ config }, { createHttpClient }] = await Promise.all([
    context.config(),
    import('../producer/http-client.ts'),
  ])
  return createHttpClient({
    url: config.client.url,
    token: config.client.token,
    userAgent,
    asSession: context.env['DROVER_SESSION_ID'] || null,
    onStale: ({ as_of, stale_seconds }) =>
      context.output.note(
        stale_seconds === null
          ? `Redis does not answer the board: this is as of ${as_of}, and what happened since is not known.`
          : `The ledger is ${stale_seconds} s behind: this is as of ${as_of}. Its recorder does not keep up; /readyz says why.`,
      ),
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
  readonly sessionId?: string | undefined
  readonly podId?: string | undefined
  readonly createdBy?: string | undefined
  readonly orchestratorId?: string | undefined
  readonly failureReason?: string | undefined
  readonly since?: string | undefined
  readonly until?: string | undefined
  readonly q?: string | undefined
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}

/** The query that the given options make; what was not given is not in it. */
export function filterOf(options: ListOptions): ListFilter {
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given.map(([name, value]) => [name.replaceAll(/[A-Z]/g, underscored), value]))
}

/** The options of events and of search. */
export interface EventOptions extends Pick<
  ListOptions,
  'agentType' | 'sessionId' | 'since' | 'until' | 'cursor'
> {
  readonly agentId?: string | undefined
  readonly type?: string | undefined
}

/** The same for events and for search. */
export function eventQueryOf(options: EventOptions): EventQuery {
  return filterOf(options)
}

/** As many rows as were asked for: a page may end earlier because its time was over. */
export async function pagesOf<Page extends { readonly next_cursor: string | null }>(
  limit: number,
  ask: (limit: number, cursor: string | null) => Promise<Page>,
  rowsOf: (page: Page) => number,
): Promise<readonly Page[]> {
  const pages: Page[] = []
  let missing = limit
  let cursor: string | null = null
  do {
    const page: Page = await ask(missing, cursor)
    pages.push(page)
    missing -= rowsOf(page)
    cursor = page.next_cursor
  } while (missing > 0 && cursor !== null)
  return pages
}

function underscored(letter: string): string {
  return `_${letter.toLowerCase()}`
}

/** What the CLI says of the MCP servers of an agent, when a turn begins. */
import type { McpServer } from './stream-facts.ts'

/**
 * Those that the agent has to do without: failed, or waiting for a login that nobody gives. One that is `pending` may
 * still come: the next turn says.
 */
export function absentServers(servers: readonly McpServer[]): readonly McpServer[] {
  return servers.filter(({ status }) => status !== 'connected' && status !== 'pending')
}

/** Whether the agent lacks one of the servers that its spec requires: one that is not even named is absent too. */
export function lacksRequired(servers: readonly McpServer[], required: readonly string[]): boolean {
  const there = new Set(servers.map(({ name }) => name))
  const absent = new Set(absentServers(servers).map(({ name }) => name))
  return required.some((name) => absent.has(name) || !there.has(name))
}

/** For people: `MCP servers: db failed, search connected.` */
export function inWords(servers: readonly McpServer[]): string {
  if (servers.length === 0) return 'The CLI names no MCP server.'
  return `MCP servers: ${servers.map(({ name, status }) => `${name} ${status}`).join(', ')}.`
}

/** All tools, in the order in which they are listed. */
import type { Tool } from '../tool.ts'
import { killAgent, restartAgent, sendToAgent } from './control.ts'
import { getCost } from './cost.ts'
import { acknowledge, broadcast, checkInbox, replyTo, sendMessage } from './messages.ts'
import { checkSession, getActiveSessions, waitSession } from './sessions.ts'
import { spawnAgent, spawnAgentAsync } from './spawn.ts'
import { listAgentTypes, searchAgents } from './types.ts'

export const TOOLS: readonly Tool[] = [
  spawnAgent,
  spawnAgentAsync,
  checkSession,
  waitSession,
  killAgent,
  restartAgent,
  sendToAgent,
  searchAgents,
  listAgentTypes,
  getActiveSessions,
  sendMessage,
  broadcast,
  checkInbox,
  replyTo,
  acknowledge,
  getCost,
]

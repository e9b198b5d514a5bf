/** What kills, restarts, messages, interrupts and answers answer, for people. */
import type {
  KillAnswer,
  KillStalledAnswer,
  NotDone,
  RestartAnswer,
  RestartFailedAnswer,
} from '../core/answer.ts'
import type { InterruptAnswer, PermissionAnswer, SendAnswer } from '../core/follow-up.ts'
import { visible } from './safe-text.ts'

export function killedText(answer: KillAnswer): string {
  const { session_id, agent_id, kill_signal, processes_killed } = answer
  if (agent_id === null) return `${session_id} cancelled before it had an agent`
  if (kill_signal === null) return `${session_id} cancelled; ${agent_id} had ended already`
  const how = answer.killed_gracefully || answer.action === 'force_kill' ? '' : ', after the grace was over'
  return `${session_id} cancelled: ${agent_id} ended by ${kill_signal}${how} (${processesText(processes_killed)})`
}

export function stalledText({ killed_agents, not_killed }: KillStalledAnswer): string {
  if (killed_agents.length + not_killed.length === 0) return 'No agent is stalled.'
  return [...killed_agents.map(killedText), ...not_killed.map(notDoneText)].join('\n')
}

export function restartedText({ session_id, message }: RestartAnswer): string {
  return `${session_id} ${visible(message)}`
}

export function restartedAllText({ restarted, skipped }: RestartFailedAnswer): string {
  if (restarted.length + skipped.length === 0) return 'No failed session is left to restart.'
  return [...restarted.map(restartedText), ...skipped.map(notDoneText)].join('\n')
}

export function sentText({ session_id, message_id, message }: SendAnswer): string {
  return `${session_id} message ${message_id}: ${visible(message)}`
}

export function interruptedText({ session_id, message }: InterruptAnswer): string {
  return `${session_id} ${visible(message)}`
}

export function permissionText({ session_id, message, repeated }: PermissionAnswer): string {
  return `${session_id} ${visible(message)}${repeated ? ' (it was before)' : ''}`
}

function notDoneText({ session_id, error, message }: NotDone): string {
  return `${session_id} left as it is (${error}): ${visible(message)}`
}

function processesText(count: number): string {
  return count === 1 ? '1 process' : `${count} processes`
}

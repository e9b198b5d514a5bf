/** What `drover ledger …` did, for people. */
import type { Backup } from '../ledger/backup.ts'
import type { FileCheck } from '../ledger/check.ts'
import type { LinesCheck } from '../ledger/check-lines.ts'
import type { Compacted } from '../ledger/compact.ts'
import type { Restored } from '../ledger/restore.ts'
import type { Rebuilt } from '../recorder/rebuild.ts'
import { counted, seconds } from './format.ts'

export function backupText(
  ledger: string,
  { file, bytes, sessions, events, position, durationMs }: Backup,
): string {
  return [
    `${ledger} was copied to ${file}`,
    `${sizeText(bytes)}, ${counted(sessions, 'session')}, ${counted(events, 'event')}, checked, in ${seconds(durationMs)}`,
    position === null ? 'nothing was recorded yet' : `recorded up to ${position}`,
  ].join('\n')
}

export function restoreText({
  ledger,
  from,
  aside,
  sessions,
  events,
  position,
  durationMs,
}: Restored): string {
  return [
    `${ledger} is ${from} now: ${counted(sessions, 'session')}, ${counted(events, 'event')}, in ${seconds(durationMs)}`,
    aside.length === 0 ? 'There was no ledger before.' : `What was there before: ${aside.join(', ')}`,
    `Start Drover again: what the event stream holds after ${position ?? 'its beginning'} is recorded then.`,
  ].join('\n')
}

export function checkText(
  ledger: string,
  { damage, totals, bytes, durationMs }: FileCheck,
  lines: LinesCheck | null,
): string {
  if (damage.length > 0) {
    return [
      `${ledger} is damaged:`,
      ...damage,
      'Stop Drover and restore a backup: drover ledger restore <file>',
    ].join('\n')
  }
  const totalsText =
    totals.length === 0
      ? [`${ledger} is sound (${sizeText(bytes)}, checked in ${seconds(durationMs)})`]
      : [
          `${ledger} is sound, but the totals of these sessions disagree with what is noted by model:`,
          ...totals,
          'Stop Drover and make them anew: drover ledger rebuild',
        ]
  return [...totalsText, ...(lines === null ? [] : linesText(lines))].join('\n')
}

function linesText({ agents, lines, verified, incomplete, unverifiable, changed }: LinesCheck): string[] {
  const parts = [
    `${counted(lines, 'line')} of ${counted(agents, 'agent')} read`,
    `${verified} as recorded`,
    ...(incomplete === 0 ? [] : [`${incomplete} never recorded whole (incomplete)`]),
    ...(unverifiable === 0 ? [] : [`${unverifiable} without lines or digest (retention, an old ledger)`]),
  ]
  if (changed.length === 0) return [parts.join('; ')]
  return [
    parts.join('; '),
    'These are not what was recorded:',
    ...changed.map(
      (agent) =>
        `${agent.agent_id} of session ${agent.session_id}: ${agent.problem} (${agent.lines} of ${counted(agent.recorded_lines, 'line')} here)`,
    ),
    'Something else than Drover wrote to the file. "drover ledger check <backup>" finds a backup that has what was there.',
    'If they are missing because retention was interrupted, "drover ledger compact" finishes it.',
  ]
}

export function compactText(ledger: string, done: Compacted): string {
  return [
    `${ledger}: ${sizeText(done.bytesBefore)} → ${sizeText(done.bytesAfter)} in ${seconds(done.durationMs)}`,
    `Retention took ${counted(done.prunedLines, 'line')} of ${counted(done.prunedSessions, 'session')}.`,
  ].join('\n')
}

export function rebuildText({ ledger, events, unprojected, kept, changed, durationMs }: Rebuilt): string {
  const rows = Object.entries(changed).filter(([, rowsChanged]) => rowsChanged > 0)
  return [
    `${ledger} was made anew from ${counted(events, 'event')} in ${seconds(durationMs)}`,
    rows.length === 0
      ? 'Every row is what it was.'
      : `Rows that are another now: ${rows.map(([table, number]) => `${table} ${number}`).join(', ')}`,
    ...(unprojected === 0
      ? []
      : [`${counted(unprojected, 'event')} could not be read, as before (recorder_fault).`]),
    ...(kept === 0 ? [] : [`${counted(kept, 'session')} without raw lines kept the rows they had.`]),
  ].join('\n')
}

function sizeText(bytes: number): string {
  const mb = bytes / (1024 * 1024)
  return mb >= 1024 ? `${(mb / 1024).toFixed(1)} GB` : `${mb.toFixed(1)} MB`
}

/** The faults that a soak knows, by name. What each does is in `pod-faults.ts` and `shared-faults.ts`. */

export const FAULT_KINDS = [
  'worker-kill',
  'worker-stop',
  'pod-freeze',
  'pod-drain',
  'guard-kill',
  'guard-stop',
  'cli-kill',
  'cli-stop',
  'net-hole',
  'net-reset',
  'net-delay',
  'net-slice',
  'net-drop-replies',
  'redis-kill',
  'redis-stop',
  'redis-flush',
  'redis-empty',
  'board-kill',
  'board-stop',
] as const

export type FaultKind = (typeof FAULT_KINDS)[number]

export function isFaultKind(name: string): name is FaultKind {
  return (FAULT_KINDS as readonly string[]).includes(name)
}

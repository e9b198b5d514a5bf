/**
 * Planted bugs: each takes one promise away, and the fault matrix must notice. An edit names exact source text, so
 * that one which no longer fits fails loudly instead of testing nothing.
 */

export interface Edit {
  /** Relative to the repository. */
  readonly file: string
  /** Must occur exactly once. */
  readonly find: string
  readonly replace: string
}

export interface Mutant {
  readonly name: string
  /** What is broken, for people. */
  readonly what: string
  readonly edits: readonly Edit[]
  /** Test files that must notice, the likeliest first. */
  readonly tests: readonly string[]
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'lease-off',
    what: 'the lease is given to whoever asks, and nobody looks whether he has it',
    edits: [
      {
        file: 'src/queue/lease.ts',
        find: 'if not holder and free == 0 then free = i end',
        replace: 'free = i',
      },
      {
        file: 'src/queue/lease.ts',
        find: "if redis.call('GET', KEYS[1]) ~= run then",
        replace: 'if false then',
      },
      {
        file: 'src/queue/session-script.ts',
        find: `  if redis.call('GET', KEYS[4]) ~= op.token then return {'lease'} end
  redis.call('PEXPIRE', KEYS[4], op.ttl)`,
        replace: '',
      },
      {
        file: 'src/queue/session-script.ts',
        find: `  if redis.call('GET', KEYS[4]) ~= op.token then return {'lease'} end
  local time`,
        replace: '  local time',
      },
    ],
    tests: ['test/fault/redis-loss.test.ts', 'test/fault/freeze.test.ts', 'test/fault/partition.test.ts'],
  },
  {
    name: 'guard-off',
    what: 'the guard ends nothing by itself: not at the deadline, not when its worker is gone',
    edits: [
      {
        file: 'src/guard/agent.ts',
        find: "if (now >= deadline) killNow('deadline')\n    else if",
        replace: 'if',
      },
      {
        file: 'src/guard/guard.ts',
        find: "for (const agent of agents.values()) agent.killNow('worker_gone')",
        replace: '',
      },
    ],
    tests: ['test/fault/worker-kill.test.ts', 'test/fault/freeze.test.ts'],
  },
  {
    name: 'group-kill',
    what: 'a process group instead of a pid namespace, which it says it is',
    edits: [
      {
        file: 'src/guard/try-tiers.ts',
        find: '  for (const name of names) {\n    const { tier, result } = await tryTier(name)',
        replace:
          "  if (names.length > 0) return { tier: { ...createGroupTier(findSetpriv()), name: 'pid_namespace' }, tries }\n" +
          '  for (const name of names) {\n    const { tier, result } = await tryTier(name)',
      },
    ],
    tests: ['test/fault/daemons.test.ts'],
  },
  {
    name: 'completed-early',
    what: 'BullMQ hears of the end before it is on the stream',
    edits: [
      {
        file: 'src/worker/conclude.ts',
        find: '  const changed = await store.change(who, { ...end, over: last !== undefined, last: true })\n',
        replace:
          '  setTimeout(() => void store.change(who, { ...end, last: true }).catch(parts.onError), 1000)\n' +
          "  const changed = { ok: true, streamId: '' } as const\n",
      },
    ],
    tests: ['test/fault/worker-kill.test.ts', 'test/fault/kill-race.test.ts', 'test/fault/ending.test.ts'],
  },
  {
    name: 'silence-is-a-stall',
    what: 'an agent that prints nothing for the stall timeout is called stalled',
    edits: [
      {
        file: 'src/core/liveness.ts',
        find: '  const { sampledAt, stoppedSince, movedAt } = liveness\n',
        replace:
          '  const { sampledAt, stoppedSince, movedAt } = liveness\n' +
          "  if (now - liveness.printedAt >= limits.stallTimeoutMs) return 'it prints nothing'\n",
      },
    ],
    tests: ['test/fault/stall.test.ts'],
  },
  {
    name: 'one-epoch',
    what: "a session's later agents keep the epoch of its first one",
    edits: [
      {
        file: 'src/queue/session-script.ts',
        find: "local fresh = string.format('%.0f', math.max(last + 1, now))",
        replace: "local fresh = epoch ~= '0' and epoch or string.format('%.0f', math.max(last + 1, now))",
      },
    ],
    tests: ['test/fault/agent-kill.test.ts'],
  },
]

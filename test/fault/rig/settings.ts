/** The field's own times and specs: about a twentieth of the real ones, within the relations that the config checks. */

/** Milliseconds; what the tests reckon with. A field's `env` may change the product's, and then says so here too. */
export interface FieldTimes {
  readonly ttlMs: number
  readonly renewMs: number
  readonly marginMs: number
  readonly heartbeatMs: number
  readonly stallMs: number
  readonly backoffMs: number
  readonly killGraceMs: number
  readonly endGraceMs: number
}

/** Agent types with members of their specs. */
export type WrittenSpecs = Readonly<Record<string, Readonly<Record<string, unknown>>>>

/** Of fields whose tests wait until a lease is over; each of them ends an agent where the machine stands still for longer. */
export const SHORT_LEASE = { ttlMs: 3200 }

/** Where a field names no others. A lease that nobody waits for is long: no agent is to be ended because others have the CPU. */
export const TIMES: FieldTimes = {
  ttlMs: 10_000,
  renewMs: 400,
  marginMs: 600,
  heartbeatMs: 150,
  stallMs: 3000,
  backoffMs: 100,
  killGraceMs: 500,
  endGraceMs: 500,
}

/** What every role of the field is started with. */
export function environmentOf(times: FieldTimes): Record<string, string> {
  return {
    DROVER_LEASE_TTL_MS: String(times.ttlMs),
    DROVER_LEASE_RENEW_MS: String(times.renewMs),
    DROVER_LEASE_MARGIN_MS: String(times.marginMs),
    DROVER_HEARTBEAT_MS: String(times.heartbeatMs),
    DROVER_STALL_TIMEOUT_MS: String(times.stallMs),
    DROVER_RESTART_BACKOFF_MS: String(times.backoffMs),
    DROVER_KILL_GRACE_MS: String(times.killGraceMs),
    DROVER_TRANSCRIPT_INTERVAL_MS: '200',
    DROVER_END_GRACE_MS: String(times.endGraceMs),
    DROVER_DRAIN_GRACE_MS: '500',
    DROVER_MIN_FREE_CPU_PERCENT: '0',
    DROVER_MIN_FREE_MEMORY_MB: '0',
    DROVER_KEEP_SPOOLS: 'true',
  }
}

/** The agent specs file: the witness's variables reach the agents. */
export function specsOf(types: WrittenSpecs): object {
  const written = Object.entries(types).map(([name, members]) => [
    name,
    {
      description: name,
      model: 'opus',
      env: { PASS: ['DROVER_WITNESS_DIR', 'DROVER_TEST_MARK'] },
      ...members,
    },
  ])
  return { agent_types: Object.fromEntries(written) as Record<string, unknown> }
}

/**
 * Tells the other processes how far the ledger is: the keys `recorded` and `kept`, and the channel `recorded`.
 *
 * Only who holds the recorder's lease is heard. One that was frozen between its commit and saying so would take back,
 * when it thaws, what its successor has said since. Nothing waits for it: what fails here, or is not heard, is made
 * good by the next commit or by the next recorder; a repeat says the same again.
 */
import type { Redis } from 'ioredis'
import type { Keys } from '../queue/keys.ts'

/**
 * KEYS  1 the recorder's lease · 2 recorded · 3 kept
 * ARGV  1 token of the lease · 2 a stream id, '' for none · 3 recorded entries that are still there, '' for unknown
 */
const ANNOUNCE_SCRIPT = `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] ~= '' then redis.call('SET', KEYS[3], ARGV[3]) end
if ARGV[2] ~= '' then
  redis.call('SET', KEYS[2], ARGV[2])
  redis.call('PUBLISH', KEYS[2], ARGV[2])
end
return 1`

export async function announceRecorded(
  redis: Redis,
  keys: Pick<Keys, 'recorderLease' | 'recorded' | 'kept'>,
  token: string,
  { streamId, kept }: { readonly streamId?: string; readonly kept: number | null },
): Promise<void> {
  const names = [keys.recorderLease, keys.recorded, keys.kept]
  await redis.eval(ANNOUNCE_SCRIPT, names.length, ...names, token, streamId ?? '', kept ?? '')
}

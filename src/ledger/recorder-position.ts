/** Table `recorder_position`: how far the stream is recorded, and by which recorder. One row. */
import { DroverError } from '../core/errors.ts'
import type { Db } from './database.ts'
import type { Recorded } from './ledger.ts'

export interface RecorderPosition {
  /** The stream's Redis key: a ledger belongs to one namespace. */
  readonly streamKey: string
  readonly streamId: string
  readonly epoch: number
}

export interface RecorderPositionTable {
  /**
   * Null in a ledger that nothing was recorded into.
   *
   * @throws DroverError `ledger_unavailable` when the ledger belongs to another stream
   */
  read(streamKey: string): RecorderPosition | null
  /**
   * Makes the caller the writer: from now on every earlier epoch is refused.
   *
   * @throws DroverError `ledger_unavailable` when the ledger belongs to another stream
   */
  claim(streamKey: string, ts: string): RecorderPosition
  /** Moves the position; false when another recorder has claimed it since. Call it inside the transaction. */
  move(epoch: number, streamId: string, ts: string): boolean
}

/** The stream id that lies before every entry. */
export const STREAM_START = '0-0'

export function createRecorderPositionTable(db: Db): RecorderPositionTable {
  const select = db.prepare<[], RecorderPosition>(
    'SELECT stream_key AS streamKey, stream_id AS streamId, epoch FROM recorder_position WHERE id = 1',
  )
  const upsert = db.prepare<unknown[], RecorderPosition>(`
    INSERT INTO recorder_position (id, stream_key, stream_id, epoch, updated_at)
    VALUES (1, @streamKey, '${STREAM_START}', 1, @ts)
    ON CONFLICT (id) DO UPDATE SET epoch = epoch + 1, updated_at = @ts
    RETURNING stream_key AS streamKey, stream_id AS streamId, epoch`)
  const update = db.prepare(
    'UPDATE recorder_position SET stream_id = @streamId, updated_at = @ts WHERE id = 1 AND epoch = @epoch',
  )

  const read = (streamKey: string): RecorderPosition | null => {
    const present = select.get()
    if (present === undefined) return null
    if (present.streamKey === streamKey) return present
    throw new DroverError(
      'ledger_unavailable',
      `The ledger ${db.name} records ${present.streamKey}, not ${streamKey}. ` +
        'Give each namespace a data directory of its own (DROVER_DATA_DIR).',
      { file: db.name },
    )
  }

  return {
    read,
    claim(streamKey, ts) {
      read(streamKey)
      const claimed = upsert.get({ streamKey, ts })
      if (claimed === undefined) throw new Error('recorder_position was not written')
      return claimed
    },
    move: (epoch, streamId, ts) => update.run({ epoch, streamId, ts }).changes === 1,
  }
}

/** How far the ledger is, as readers are told. */
export function createRecorded(db: Db): () => Recorded {
  const select = db.prepare<[], Recorded>(
    'SELECT stream_id AS streamId, updated_at AS asOf FROM recorder_position WHERE id = 1',
  )
  return () => select.get() ?? { streamId: STREAM_START, asOf: null }
}

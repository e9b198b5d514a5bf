/** Asking a board again where its answer is lost: of what has an id of its own, or may be done twice. */
import { request, type Board, type BoardRequest } from './http-request.ts'
import { createPatience } from './patience.ts'

/** Asks again while the answer is lost. A board that was never there is said at once. */
export async function untilAnswered<T>(board: Board, asked: BoardRequest, patienceMs?: number): Promise<T> {
  const patience = createPatience(patienceMs)
  let wasThere = false
  for (;;) {
    try {
      return await request<T>(board, asked)
    } catch (error) {
      // A cut means that the board was there, and may have done what was asked for.
      wasThere ||= wasCut(error)
      if (!wasThere) throw error
      await patience.lost(error, asked.signal)
      asked.signal?.throwIfAborted()
    }
  }
}

/** The connection was made, and lost before the answer was here. */
function wasCut(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : null
  const code = cause instanceof Error && 'code' in cause ? cause.code : null
  return code === 'ECONNRESET' || code === 'EPIPE'
}

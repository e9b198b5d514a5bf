/**
 * Two things that aimock 1.43 does not do for the Messages API: cache tokens in `usage` (it drops them), and a
 * stream broken off on some of the calls of a turn (its fixtures break all). Both are done on the way out.
 */
import type { ServerResponse } from 'node:http'
import { z } from 'zod'

export interface Shape {
  readonly cacheReadTokens: number
  readonly cacheCreationTokens: number
  /** The connection is closed after this many server-sent events. */
  readonly cutAfterChunks: number | undefined
}

/**
 * Between the last event and the break, so that the CLI has taken in what arrived. Without it the same script took
 * one of two paths by chance: asking again, or taking the half answer and asking for the rest.
 */
const CUT_DELAY_MS = 250

/** `shapeOf` is asked with every write; while it says undefined, the response is left as it is. */
export function shapeResponse(response: ServerResponse, shapeOf: () => Shape | undefined): void {
  const write = response.write.bind(response)
  const end = response.end.bind(response)
  let chunks = 0
  let cut = false

  response.write = (...args: unknown[]): boolean => {
    // aimock does not know of the cut and goes on to the end of its stream.
    if (cut) return true
    const shape = shapeOf()
    const written: unknown = Reflect.apply(write, undefined, withCacheTokens(args, shape))
    chunks += 1
    cut = chunks >= (shape?.cutAfterChunks ?? Infinity)
    if (cut) setTimeout(() => response.socket?.destroySoon(), CUT_DELAY_MS)
    return written === true
  }

  response.end = (...args: unknown[]): ServerResponse => {
    if (!cut) Reflect.apply(end, undefined, withCacheTokens(args, shapeOf()))
    return response
  }
}

const MESSAGE_START = 'event: message_start\ndata: '

const messageSchema = z.looseObject({ type: z.literal('message'), usage: z.looseObject({}) })
const messageStartSchema = z.looseObject({ message: messageSchema })

/** Adds the counts where the usage is: in the first event of a stream, or in the body of a whole message. */
function withCacheTokens([chunk, ...rest]: readonly unknown[], shape: Shape | undefined): unknown[] {
  if (shape === undefined || typeof chunk !== 'string') return [chunk, ...rest]
  if (chunk.startsWith(MESSAGE_START)) {
    const event = messageStartSchema.parse(JSON.parse(chunk.slice(MESSAGE_START.length)))
    const shaped = { ...event, message: addUsage(event.message, shape) }
    return [`${MESSAGE_START}${JSON.stringify(shaped)}\n\n`, ...rest]
  }
  if (!chunk.startsWith('{')) return [chunk, ...rest]
  // An error has a body too, and no usage.
  const body = messageSchema.safeParse(JSON.parse(chunk))
  return [body.success ? JSON.stringify(addUsage(body.data, shape)) : chunk, ...rest]
}

function addUsage(message: z.infer<typeof messageSchema>, shape: Shape): z.infer<typeof messageSchema> {
  const cache = {
    cache_read_input_tokens: shape.cacheReadTokens,
    cache_creation_input_tokens: shape.cacheCreationTokens,
  }
  return { ...message, usage: { ...message.usage, ...cache } }
}

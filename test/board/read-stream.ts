/** Reads a session's Server-Sent Events frame by frame, as a browser gets them. */
export interface Frame {
  readonly id: string | null
  readonly event: string | null
  readonly data: string | null
  readonly comment: string | null
}

export interface ReadStream {
  readonly headers: Headers
  /** Frames from now on. Leaving the loop closes the connection. */
  frames(): AsyncGenerator<Frame, void, void>
  close(): void
}

export async function openStream(url: string, lastEventId: number | null = null): Promise<ReadStream> {
  const stop = new AbortController()
  const response = await fetch(url, {
    signal: stop.signal,
    headers: {
      accept: 'text/event-stream',
      ...(lastEventId === null ? {} : { 'last-event-id': String(lastEventId) }),
    },
  })
  if (response.status !== 200 || response.body === null)
    throw new Error(`${response.status}: ${await response.text()}`)
  const body = response.body.pipeThrough(new TextDecoderStream())

  return {
    headers: response.headers,
    close: () => stop.abort(),
    async *frames() {
      let rest = ''
      try {
        for await (const chunk of body) {
          const parts = (rest + chunk).split('\n\n')
          rest = parts.pop() ?? ''
          for (const part of parts) yield frameOf(part)
        }
      } finally {
        stop.abort()
      }
    },
  }
}

function frameOf(text: string): Frame {
  const frame: Record<string, string | null> = { id: null, event: null, data: null, comment: null }
  // A browser ends a line at CR, LF and CR LF alike.
  for (const line of text.split(/\r\n|\r|\n/)) {
    const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line) ?? []
    frame[name === '' ? 'comment' : (name ?? '')] = value ?? ''
  }
  return frame as unknown as Frame
}

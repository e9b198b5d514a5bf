import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { parseScript } from '../../src/rehearsal/load-script.ts'
import { startRehearsal, type Rehearsal } from '../../src/rehearsal/rehearsal.ts'
import { until } from '../support/until.ts'

const started: Rehearsal[] = []
afterEach(() => Promise.all(started.splice(0).map((rehearsal) => rehearsal.stop())))

async function start(turns: string): Promise<Rehearsal> {
  const rehearsal = await startRehearsal(
    parseScript(`description: x\nagents: { architect: ${turns} }`, 'x.yaml'),
  )
  started.push(rehearsal)
  return rehearsal
}

interface CallOptions {
  readonly messages?: readonly unknown[]
  readonly agentType?: string
  readonly sessionId?: string
  readonly stream?: boolean
  readonly headers?: Record<string, string>
  readonly signal?: AbortSignal
}

/** A call as the CLI makes it: with the headers that it was given in its environment. */
function call(rehearsal: Rehearsal, options: CallOptions = {}): Promise<Response> {
  const { messages = [{ role: 'user', content: 'hi' }], stream = true, headers = {}, signal } = options
  const environment = rehearsal.environment(
    options.agentType ?? 'architect',
    options.sessionId ?? 'session-1',
  )
  const sent = new Headers({
    'x-api-key': environment['ANTHROPIC_API_KEY'] ?? '',
    cookie: 'secret=1',
    ...headers,
  })
  for (const line of environment['ANTHROPIC_CUSTOM_HEADERS']?.split('\n') ?? []) {
    const [name = '', value = ''] = line.split(': ')
    sent.set(name, value)
  }
  return fetch(`${environment['ANTHROPIC_BASE_URL']}/v1/messages?beta=true`, {
    method: 'POST',
    headers: sent,
    body: JSON.stringify({ model: 'm', max_tokens: 10, stream, messages }),
    ...(signal !== undefined && { signal }),
  })
}

const eventSchema = z.looseObject({
  type: z.string(),
  message: z.looseObject({ usage: z.looseObject({}) }).optional(),
  delta: z
    .looseObject({ text: z.string(), partial_json: z.string(), stop_reason: z.string() })
    .partial()
    .optional(),
})

async function eventsOf(response: Response): Promise<z.infer<typeof eventSchema>[]> {
  const text = await response.text()
  return [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => eventSchema.parse(JSON.parse(data ?? '')))
}

const textOf = async (response: Response): Promise<string> =>
  (await eventsOf(response)).map((event) => event.delta?.text ?? event.delta?.partial_json ?? '').join('')

describe('a turn', () => {
  test('is streamed with its text, its tool calls and all its token counts', async () => {
    const rehearsal = await start(
      `[{ text: "for {{agent_type}}/{{session_id}}: {{prompt}}", tools: [{ name: Write, input: { file_path: "{{prompt}}" } }],
          usage: { input_tokens: 1, output_tokens: 2, cache_read_tokens: 3, cache_creation_tokens: 4 } }, { text: end }]`,
    )
    const events = await eventsOf(await call(rehearsal))
    expect(events[0]?.message?.usage).toMatchObject({
      input_tokens: 1,
      cache_read_input_tokens: 3,
      cache_creation_input_tokens: 4,
    })
    expect(events.at(-2)).toMatchObject({ delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 2 } })
    expect(events.map((event) => event.delta?.text ?? event.delta?.partial_json ?? '').join('')).toBe(
      'for architect/session-1: hi{"file_path":"hi"}',
    )
  })

  test('has the same counts in a call without streaming', async () => {
    const rehearsal = await start(
      '[{ text: a, usage: { input_tokens: 1, output_tokens: 2, cache_read_tokens: 3 } }]',
    )
    const body: unknown = await (await call(rehearsal, { stream: false })).json()
    expect(body).toMatchObject({
      content: [{ type: 'text', text: 'a' }],
      usage: {
        input_tokens: 1,
        output_tokens: 2,
        cache_read_input_tokens: 3,
        cache_creation_input_tokens: 0,
      },
    })
  })

  test('is the one that the conversation has reached, for any number of callers at once', async () => {
    const rehearsal = await start('[{ text: one }, { text: two }]')
    const messages = [
      { role: 'user', content: [{ type: 'text', text: 'hi' }] },
      { role: 'assistant', content: [{ type: 'text', text: 'one' }] },
      { role: 'user', content: 'again' },
    ]
    const [first, second] = await Promise.all([
      call(rehearsal),
      call(rehearsal, { messages, sessionId: 'session-2' }),
    ])
    expect([await textOf(first), await textOf(second)]).toEqual(['one', 'two'])
  })

  test('begins after its latency', async () => {
    const rehearsal = await start('[{ text: late, latency_ms: 300 }]')
    const before = performance.now()
    const response = await call(rehearsal)
    expect(performance.now() - before).toBeGreaterThanOrEqual(299)
    expect(await textOf(response)).toBe('late')
  })
})

describe('a fault', () => {
  test('comes as often as it says, counted for each session', async () => {
    const rehearsal = await start(
      '[{ text: ok, faults: [{ status: 529, type: overloaded_error, message: Busy, times: 2 }] }]',
    )
    const statuses = async (sessionId: string, calls: number): Promise<number[]> => {
      const seen: number[] = []
      for (let n = 0; n < calls; n++) seen.push((await call(rehearsal, { sessionId })).status)
      return seen
    }
    expect(await statuses('a', 3)).toEqual([529, 529, 200])
    expect(await statuses('b', 1)).toEqual([529])
  })

  test('is an error of the Messages API', async () => {
    const rehearsal = await start(
      '[{ text: never, faults: [{ status: 429, type: rate_limit_error, message: Slow, retry_after_seconds: 7 }] }]',
    )
    const response = await call(rehearsal)
    expect(response.headers.get('retry-after')).toBe('7')
    expect(await response.json()).toEqual({
      type: 'error',
      error: { type: 'rate_limit_error', message: 'Slow' },
    })
  })

  test('cuts the stream off in the middle, and the next call succeeds', async () => {
    const rehearsal = await start(
      '[{ text: "a long sentence that is cut", faults: [{ cut_after_chunks: 3, times: 1 }] }]',
    )
    const cut = await call(rehearsal)
    const reader = cut.body?.pipeThrough(new TextDecoderStream()).getReader()
    let received = ''
    const read = async (): Promise<void> => {
      for (;;) {
        const chunk = await reader?.read()
        if (chunk?.value === undefined) return
        received += chunk.value
      }
    }
    await expect(read()).rejects.toThrow('terminated')
    expect(received.match(/^event: /gm)).toHaveLength(3)
    expect(await textOf(await call(rehearsal))).toBe('a long sentence that is cut')
  })
})

describe('who is not in the script', () => {
  test('a subagent gets a plain text that costs nothing', async () => {
    const rehearsal = await start('[{ tools: [{ name: Agent }], usage: { input_tokens: 9 } }, { text: end }]')
    const events = await eventsOf(await call(rehearsal, { headers: { 'x-claude-code-agent-id': 'sub-1' } }))
    expect(events[0]?.message?.usage).toMatchObject({ input_tokens: 0, output_tokens: 0 })
    expect(events.at(-2)?.delta?.stop_reason).toBe('end_turn')
    expect(rehearsal.requests()[0]).toMatchObject({ isSubagent: true, turn: null, status: 200 })
  })

  test('an agent type without turns is refused with what to do', async () => {
    const response = await call(await start('[{ text: a }]'), { agentType: 'developer' })
    expect(response.status).toBe(400)
    expect(await response.text()).toContain('The rehearsal script x has no turns for developer: add them')
  })
})

describe('requests', () => {
  test('are kept with what was answered, and without keys', async () => {
    const rehearsal = await start('[{ text: a }]')
    await (await call(rehearsal)).text()
    const [request] = rehearsal.requests()
    expect(request).toMatchObject({
      method: 'POST',
      path: '/v1/messages?beta=true',
      agentType: 'architect',
      sessionId: 'session-1',
      isSubagent: false,
      turn: 0,
      status: 200,
      body: { model: 'm', messages: [{ role: 'user', content: 'hi' }] },
    })
    expect(Object.keys(request?.headers ?? {})).not.toContain('x-api-key')
    expect(JSON.stringify(request)).not.toMatch(/secret=1|rehearsal-not-a-key/)
  })

  test('are the last hundred', async () => {
    const rehearsal = await start('[{ text: a }]')
    for (let n = 0; n < 105; n++) await fetch(`${rehearsal.baseUrl}/nothing/${n}`)
    expect(rehearsal.requests().map((request) => request.path)).toEqual(
      Array.from({ length: 100 }, (_, n) => `/nothing/${n + 5}`),
    )
  })
})

describe('beside the model', () => {
  test('the root and the token count answer; the rest does not exist', async () => {
    const { baseUrl } = await start('[{ text: a }]')
    expect((await fetch(baseUrl, { method: 'HEAD' })).status).toBe(200)
    const counted = await fetch(`${baseUrl}/v1/messages/count_tokens`, {
      method: 'POST',
      body: 'x'.repeat(400),
    })
    expect(await counted.json()).toEqual({ input_tokens: 100 })
    for (const path of ['/v1/models', '/v1/chat/completions', '/v1/messages']) {
      expect((await fetch(`${baseUrl}${path}`)).status).toBe(404)
    }
  })

  test('it listens on loopback only', async () => {
    expect((await start('[{ text: a }]')).baseUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  })
})

describe('stop', () => {
  test('cuts off what is under way, frees the port and may be called twice', async () => {
    const rehearsal = await start('[{ text: a, latency_ms: 60000 }]')
    const silent = connect(rehearsal.port, '127.0.0.1')
    const silentClosed = new Promise((resolve) => silent.once('close', resolve))
    const pending = call(rehearsal).then(
      () => 'answered',
      () => 'cut off',
    )
    await until(() => rehearsal.requests().length === 1)
    await Promise.all([rehearsal.stop(), rehearsal.stop()])
    expect(await pending).toBe('cut off')
    await silentClosed
    await expect(fetch(rehearsal.baseUrl)).rejects.toThrow('fetch failed')
  })

  test('a caller that hangs up disturbs nobody', async () => {
    const rehearsal = await start('[{ text: a, latency_ms: 200 }]')
    const gone = new AbortController()
    const pending = call(rehearsal, { signal: gone.signal })
    await until(() => rehearsal.requests().length === 1)
    gone.abort()
    await expect(pending).rejects.toThrow('aborted')
    expect(await textOf(await call(rehearsal))).toBe('a')
  })
})

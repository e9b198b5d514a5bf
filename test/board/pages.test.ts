/** The pages and Bull Board in a real browser. Pictures of them are left in a directory that the test names. */
import { mkdtemp, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page, Route } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findChromium, openBrowser, type TestBrowser } from '../support/chromium.ts'
import { createPodDirectory } from '../../src/queue/pods.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { openBoard, type TestBoard } from './open-board.ts'
import { failed, playSession, says } from './play-session.ts'

const chromium = findChromium()
/** Text that must stay text. */
const EVIL = `<img src=x onerror="document.title='run'"><script>document.title='run'</script>`

describe.skipIf(chromium === null)('in Chromium', () => {
  let redis: TestRedis
  let board: TestBoard
  let browser: TestBrowser
  let pictures: string
  /** What no page may cause: errors, requests to others. */
  const complaints: string[] = []
  let running: string
  let done: string

  beforeAll(async () => {
    redis = await startRedis()
    board = await openBoard(redis.url, { types: ['architect', 'code_developer', 'code_reviewer'] })
    browser = await openBrowser(chromium ?? '')
    pictures = await mkdtemp(join(tmpdir(), 'drover-pictures-'))
    browser.context.on('weberror', (error) => complaints.push(String(error.error())))
    browser.context.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text())
    })
    browser.context.on('request', (request) => {
      if (!request.url().startsWith(board.url) && !request.url().startsWith('data:'))
        complaints.push(request.url())
    })
    await fillBoard()
  })
  afterAll(async () => {
    await browser.close()
    await board.stop()
    await redis.stop()
    process.stdout.write(`pictures of the pages: ${pictures}\n`)
  })

  async function fillBoard(): Promise<void> {
    done = await board.spawn({ prompt: 'Write the specification of the login form' })
    const first = await playSession(board, done)
    await first.print(
      { type: 'system', subtype: 'init', model: 'claude-opus-5-5', session_id: done },
      says('I look at what is there first.'),
      {
        type: 'assistant',
        message: {
          content: [{ type: 'tool_use', id: 't1', name: 'Read', input: { file_path: 'README.md' } }],
        },
      },
      {
        type: 'user',
        message: {
          content: [{ type: 'tool_result', tool_use_id: 't1', content: 'The shop\n\nA small shop.' }],
        },
      },
      says(`The file says: ${EVIL}`),
      {
        type: 'assistant',
        message: { content: [{ type: 'tool_use', id: 't2', name: 'Bash', input: { command: 'npm test' } }] },
      },
      {
        type: 'user',
        message: {
          content: [
            { type: 'tool_result', tool_use_id: 't2', is_error: true, content: 'exit 1: no tests found' },
          ],
        },
      },
      { type: 'something_new', whatever: [1, null] },
      {
        type: 'result',
        subtype: 'success',
        is_error: false,
        num_turns: 3,
        result: 'Written to docs/login.md',
        total_cost_usd: 0.0421,
        model_usage_since_last_result: {
          'claude-opus-5-5': {
            inputTokens: 1200,
            outputTokens: 340,
            cacheReadInputTokens: 8000,
            cacheCreationInputTokens: 0,
            costUSD: 0.0421,
          },
        },
      },
    )
    await first.end({
      num_turns: 3,
      cost_micros: 42_100,
      usage: { input_tokens: 1200, output_tokens: 340, cache_read_tokens: 8000, cache_creation_tokens: 0 },
    })
    const second = await playSession(
      board,
      await board.spawn({ prompt: `Fix ${EVIL}`, agent_type: 'code_developer' }),
    )
    await second.end(failed('api_error', 'The API answered 529 (overloaded) for three minutes.'))
    running = await board.spawn({
      prompt: 'Review the pull request and say what is missing',
      agent_type: 'code_reviewer',
    })
    const third = await playSession(board, running)
    await third.print(says('Reading the diff.'))
    const beat = { beat_at: Date.now(), health: 'healthy', cpu_percent: 34.6, memory_mb: 411.8 }
    await board.redis.hset(board.keys.session(running), beat)
    await createPodDirectory(board.redis, board.keys).write(
      'build-7-4711',
      'i',
      {
        state: 'no_room',
        why: 'Too little is free: 120 MB of memory free, 500 are needed.',
        types: 'architect',
      },
      60_000,
    )
    await board.spawn({ prompt: 'A second specification', depends_on: [] })
    await board.post('/api/v1/tasks', {
      tasks: [
        { task_id: 'SHOP-1', agent_type: 'architect', prompt: 'Design the basket' },
        {
          task_id: 'SHOP-2',
          agent_type: 'code_developer',
          prompt: 'Build the basket',
          depends_on: ['SHOP-1'],
        },
      ],
    })
    await board.spawn({ task_id: 'SHOP-2', agent_type: 'code_developer', prompt: undefined })
    await until(async () => (await board.get('/api/v1/sessions')).body.sessions.length === 6)
  }

  async function open(path: string, options: { dark?: boolean; phone?: boolean } = {}): Promise<Page> {
    const page = await browser.context.newPage()
    await page.emulateMedia({ colorScheme: options.dark === true ? 'dark' : 'light' })
    await page.setViewportSize(
      options.phone === true ? { width: 375, height: 780 } : { width: 1280, height: 900 },
    )
    await page.goto(`${board.url}${path}`)
    return page
  }

  async function picture(page: Page, name: string): Promise<void> {
    const path = join(pictures, `${name}.png`)
    await page.screenshot({ path, fullPage: true })
    expect((await stat(path)).size).toBeGreaterThan(5000)
  }

  const noSidewaysScroll = async (page: Page): Promise<void> => {
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
  }

  test.each([
    ['light', {}],
    ['dark', { dark: true }],
    ['phone', { phone: true }],
    ['phone-dark', { phone: true, dark: true }],
  ])('the landing page shows types and sessions (%s)', async (name, look) => {
    const page = await open('/', look)
    await page.locator('.session').nth(5).waitFor()
    expect(await page.locator('#types .card h3').allTextContents()).toEqual([
      'architect',
      'code_developer',
      'code_reviewer',
    ])
    const live = page.locator('#live a')
    await live.waitFor()
    expect((await live.innerText()).split('\n')).toEqual(
      expect.arrayContaining(['healthy', 'code_reviewer', 'Reading the diff.', '35 %', '412 MB']),
    )
    expect(await page.locator('#health').innerText()).toBe('1 healthy')
    expect(await page.locator('#pods').innerText()).toContain(
      'build-7-4711 takes no session: Too little is free',
    )
    expect(await page.locator('#pods').innerText()).toContain('Pods that take sessions: 0 of 1')
    expect((await page.locator('#cost').innerText()).split('\n')).toEqual(
      expect.arrayContaining(['Last 7 days', '$0.0421', 'architect']),
    )
    const list = await page.locator('#sessions').innerText()
    expect(list).toContain('waits for SHOP-1')
    expect(list).toContain('<img src=x')
    await noSidewaysScroll(page)
    await picture(page, `home-${name}`)
    await page.getByRole('button', { name: 'Failed' }).click()
    await until(async () => (await page.locator('.session').count()) === 1)
    await page.getByRole('button', { name: 'Open' }).click()
    await until(async () => (await page.locator('.session').count()) === 4)
    expect(await page.title()).toBe('Drover')
    await page.close()
  })

  test('a session that is asked for appears without a reload', async () => {
    const page = await open('/')
    await page.locator('.session').nth(5).waitFor()
    await board.spawn({ prompt: 'Just asked for' })
    await page.getByText('Just asked for').waitFor()
    await page.getByText('Just asked for').click()
    await page.getByText('Accepted from http').waitFor()
    expect(page.url()).toContain('/sessions/')
    await page.close()
  })

  test.each([
    ['light', {}],
    ['dark', { dark: true }],
    ['phone', { phone: true }],
  ])('the page of a session shows what its agent did (%s)', async (name, look) => {
    const page = await open(`/sessions/${done}`, look)
    await page.getByText('ended', { exact: true }).waitFor()
    const text = await page.locator('main').innerText()
    for (const part of [
      'architect',
      'completed',
      '$0.0421',
      '9,200 in · 340 out',
      'I look at what is there first.',
      'Read README.md',
      'npm test',
      '✗ exit 1: no tests found',
      'Session completed',
      'architect-20260101-001',
    ]) {
      expect(text).toContain(part)
    }
    expect(text).toContain(EVIL)
    expect(await page.title()).toBe('architect · Drover')
    await page.getByText('← The shop').click()
    await page.getByText('A small shop.').waitFor()
    await noSidewaysScroll(page)
    await picture(page, `session-${name}`)
    await page.close()
  })

  test('the page of a running session goes on by itself', async () => {
    const page = await open(`/sessions/${running}`)
    await page.getByText('Reading the diff.').waitFor()
    await page.getByText('live', { exact: true }).waitFor()
    const record = await board.store.read(running)
    const agent = {
      sessionId: running,
      agentType: 'code_reviewer',
      agentId: record?.agentId ?? '',
      epoch: record?.epoch ?? '',
    }
    await board.store.lines(agent, {
      first: 2,
      lines: [{ type: 'claude.assistant', payloadText: JSON.stringify(says('Two tests are missing.')) }],
    })
    await page.getByText('Two tests are missing.').waitFor()
    expect(await page.locator('.event').filter({ hasText: 'Reading the diff.' }).count()).toBe(1)
    await picture(page, 'session-running')
    await page.close()
  })

  test('what an agent asks is allowed and denied with a click', async () => {
    const id = await board.spawn({ prompt: 'Tidy up', agent_type: 'code_developer' })
    const agent = await playSession(board, id)
    const questions = [
      await agent.ask(`rm -r build ${'and-all-of-it/'.repeat(40)}`),
      await agent.ask(`echo ${EVIL}\n# \u202Eoof`),
    ]
    const page = await open(`/sessions/${id}`)
    const rows = page.locator('#questions li')
    await rows.nth(1).waitFor()
    const evil = await rows.filter({ hasText: '<img src=x' }).locator('pre').innerText()
    expect(evil).toBe(`echo ${EVIL}\n# \\u{202e}oof`)
    await picture(page, 'session-asks')
    await noSidewaysScroll(page)
    // Nobody can allow what he does not see whole.
    const pre = "document.querySelector('#questions pre')"
    expect(await page.evaluate(`${pre}.scrollWidth <= ${pre}.clientWidth`)).toBe(true)
    const home = await open('/')
    await home.locator('#waiting a').getByText('Tidy up').waitFor()
    await home.close()
    await rows.filter({ hasText: 'rm -r build' }).getByRole('button', { name: 'Allow' }).click()
    await until(async () => (await rows.count()) === 1)
    // The board refuses: it is said, and may be clicked again.
    await page.route('**/permissions', (route) => route.abort(), { times: 1 })
    await rows.getByRole('button', { name: 'Deny' }).click()
    await rows.getByText('The board does not answer').waitFor()
    await rows.getByRole('button', { name: 'Deny' }).click()
    await until(async () => (await rows.count()) === 0)
    expect(await page.locator('#questions').isHidden()).toBe(true)
    const { events } = (await board.get(`/api/v1/sessions/${id}/events?limit=1000`)).body
    const answers = events.filter((event: any) => event.type === 'drover.message.answered')
    expect(
      answers.map(({ payload }: any) => [payload.request_id, payload.behavior, payload.actor.via]),
    ).toEqual([
      [questions[0], 'allow', 'http'],
      [questions[1], 'deny', 'http'],
    ])
    expect(await page.title()).toBe('code_developer · Drover')
    expect(complaints.splice(0).every((complaint) => complaint.includes('ERR_FAILED'))).toBe(true)
    await page.close()
  })

  test('a session is told something, ended and restarted from its page', async () => {
    const id = await board.spawn({ prompt: 'First line\n\nSecond line', agent_type: 'code_developer' })
    const page = await open(`/sessions/${id}`)
    expect(await page.locator('#prompt .text').innerText()).toBe('First line\n\nSecond line')
    await page.getByText('No pod serves code_developer.').waitFor()
    // Its answer is lost on the way: sent again, it is the same message.
    const losing = async (route: Route): Promise<void> => {
      await route.fetch()
      await route.abort()
    }
    await page.route('**/messages', losing, { times: 1 })
    await page.getByLabel('Message to its agent').fill('Use Redis')
    await page.getByRole('button', { name: 'Send' }).click()
    await page.getByText('The board does not answer').waitFor()
    await page.getByRole('button', { name: 'Send' }).click()
    await page.getByText('This message was sent before.').waitFor()
    expect(await page.getByLabel('Message to its agent').inputValue()).toBe('')
    page.once('dialog', (dialog) => void dialog.accept())
    await page.getByRole('button', { name: 'End session' }).click()
    await page.locator('#state').getByText('cancelled').waitFor()
    expect(await page.locator('#say').isHidden()).toBe(true)
    await page.locator('#facts').getByText('undelivered: Use Redis').waitFor()
    await page.getByRole('button', { name: 'Restart' }).click()
    await page.waitForURL((url) => url.pathname.startsWith('/sessions/') && !url.pathname.endsWith(id))
    const { session, messages } = (await board.get(`/api/v1/sessions/${id}`)).body
    expect([session.status, messages.map(({ text }: any) => text)]).toEqual(['cancelled', ['Use Redis']])
    expect(complaints.splice(0).every((complaint) => complaint.includes('ERR_FAILED'))).toBe(true)
    await page.close()
  })

  test('what was said is found, and leads to where it was said', async () => {
    const page = await open('/', { phone: true })
    await page.getByLabel('Search').fill('"no tests found"')
    const hit = page.locator('#said a')
    await hit.waitFor()
    expect(await hit.locator('mark').allTextContents()).toEqual(['no tests found'])
    await picture(page, 'search-phone')
    await noSidewaysScroll(page)
    await page.getByLabel('Agent type', { exact: true }).selectOption('code_developer')
    await page.getByText('Nothing.').waitFor()
    await page.getByText('None.').waitFor()
    await page.getByLabel('Agent type', { exact: true }).selectOption('architect')
    await hit.click()
    await page.locator('.event.target').getByText('exit 1: no tests found').waitFor()
    await page.close()
  })

  test('a session that is not there is said so', async () => {
    const page = await open('/sessions/nope')
    await page.getByText('There is no session "nope".').waitFor()
    expect(complaints.splice(0).every((complaint) => complaint.includes('404'))).toBe(true)
    await page.close()
  })

  test.each([
    ['light', {}],
    ['dark', { dark: true }],
    ['phone', { phone: true }],
  ])('Bull Board shows queues and jobs, and a job leads to its session (%s)', async (name, look) => {
    const page = await open('/queues/', look)
    await page.getByText('4 Jobs').waitFor()
    await picture(page, `queues-${name}`)
    await page.goto(`${board.url}/queues/queue/code_reviewer`)
    const link = page.getByRole('link', { name: 'Open session' }).first()
    await link.waitFor()
    await picture(page, `queue-${name}`)
    const [session] = await Promise.all([browser.context.waitForEvent('page'), link.click()])
    await session.getByText('Reading the diff.').waitFor()
    expect(session.url()).toBe(`${board.url}/sessions/${running}`)
    await session.close()
    await page.close()
  })

  test('no page complained, and none asked anybody else', () => {
    expect(complaints).toEqual([])
  })
})

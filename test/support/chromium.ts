/**
 * A real headless Chromium for tests of pages. Debian's `chromium` will do; none is downloaded.
 *
 * Where there is none, tests that need it are skipped and say so; with `DROVER_REQUIRE_CHROMIUM=1` (as in CI) they
 * fail instead.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { chromium, type BrowserContext } from 'playwright-core'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** The browser's program; null where there is none and none is required. */
export function findChromium(): string | null {
  const dirs = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin']
  const found = dirs.flatMap((dir) => NAMES.map((name) => join(dir, name))).find((file) => existsSync(file))
  if (found !== undefined) return found
  const message = 'no Chromium is installed (Debian: apt-get install chromium): the pages are not tested'
  if (process.env['DROVER_REQUIRE_CHROMIUM'] === '1') throw new Error(message)
  process.stderr.write(`\n*** SKIPPED: ${message} ***\n\n`)
  return null
}

export interface TestBrowser {
  readonly context: BrowserContext
  close(): Promise<void>
}

/** Starts a browser with an empty profile, which talks to nobody but the pages' own server. */
export async function openBrowser(executablePath: string): Promise<TestBrowser> {
  const profile = await mkdtemp(join(tmpdir(), 'drover-chromium-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    // Chromium's own sandbox does not work for root.
    chromiumSandbox: process.getuid?.() !== 0,
    args: [
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-dev-shm-usage',
    ],
  })
  return {
    context,
    async close() {
      await context.close()
      await rm(profile, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

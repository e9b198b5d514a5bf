import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const page = readFileSync(join(ROOT, 'docs/http-api.md'), 'utf8')
const routeFiles = readdirSync(join(ROOT, 'src/board/routes')).map((name) =>
  readFileSync(join(ROOT, 'src/board/routes', name), 'utf8'),
)

/** `POST /api/v1/sessions`, from the code that sets the routes; assets of pages are nobody's interface. */
const routes = routeFiles
  .flatMap((text) => [...text.matchAll(/(?:app|scope)\.(get|post)(?:<[^>]*>)?\(\s*'([^']+)'/g)])
  .map(([, method = '', path = '']) => `${method.toUpperCase()} ${path}`)
  .toSorted()

const documented = [...page.matchAll(/`(GET|POST) (\/[^`?]*)[^`]*`/g)].map(
  ([, method, path]) => `${method} ${path}`,
)

test('every route is documented, and every documented route exists', () => {
  expect(routes.length).toBeGreaterThan(12)
  expect([...new Set(documented)].filter((route) => route !== 'GET /queues/').toSorted()).toEqual(routes)
})

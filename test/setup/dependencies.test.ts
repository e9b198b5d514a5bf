import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { z } from 'zod'

const read = (name: string): string => readFileSync(resolve(import.meta.dirname, '../..', name), 'utf8')
const packages = z.record(z.string(), z.string())
const manifest = z
  .object({ dependencies: packages, devDependencies: packages })
  .parse(JSON.parse(read('package.json')))
const page = read('docs/dependencies.md')

/** First cells of the tables of one chapter. */
function listed(chapter: string): string[] {
  const text = page.split(/^## /m).find((part) => part.startsWith(chapter)) ?? ''
  return [...text.matchAll(/^\| `([^`]+)`/gm)].map(([, name]) => name ?? '').toSorted()
}

it('docs/dependencies.md explains every package, and no other', () => {
  expect(listed('What runs in production')).toEqual(Object.keys(manifest.dependencies).toSorted())
  expect(listed('What builds and checks')).toEqual(Object.keys(manifest.devDependencies).toSorted())
})

it('every version is exact', () => {
  const versions = Object.values({ ...manifest.dependencies, ...manifest.devDependencies })
  expect(versions.filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([])
})

it('the parts of Bull Board, and vitest with its coverage, are of one version', () => {
  const { dependencies, devDependencies } = manifest
  const boards = Object.keys(dependencies).filter((name) => name.startsWith('@bull-board/'))
  expect(new Set(boards.map((name) => dependencies[name])).size).toBe(1)
  expect(devDependencies['@vitest/coverage-v8']).toBe(devDependencies['vitest'])
})

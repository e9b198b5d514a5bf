import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { MUTANTS } from './mutants.ts'

const edits = MUTANTS.flatMap(({ name, edits: of }) => of.map((edit) => ({ name, ...edit })))

// `npm run test:mutants` is no part of CI; what it plants must fit all the same.
test.for(edits)('$name fits $file', ({ file, find }) => {
  const text = readFileSync(join(import.meta.dirname, '../..', file), 'utf8')
  expect(text.split(find)).toHaveLength(2)
})

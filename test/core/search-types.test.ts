import { expect, test } from 'vitest'
import { searchTypes, type SearchableType } from '../../src/core/search-types.ts'

const type = (name: string, description: string, ...use_cases: string[]): SearchableType => ({
  name,
  description,
  use_cases,
})
const TYPES = [
  type('architect', 'Turns a request into a specification', 'Plan a refactoring'),
  type('code_developer', 'Implements a specification and its tests'),
  type('code_reviewer', 'Reviews changes', 'Find what is wrong with a commit'),
  type('doc-keeper-haiku', 'Audits the knowledge vault', 'Find stale documentation'),
]
const found = (query: string): string[] => searchTypes(TYPES, query).map(({ name }) => name)

test.each([
  // A name counts more than a description, and that more than a use case.
  ['reviewer', ['code_reviewer']],
  ['specification', ['architect', 'code_developer']],
  ['find', ['code_reviewer', 'doc-keeper-haiku']],
  // More of the words before fewer.
  ['find stale documentation', ['doc-keeper-haiku', 'code_reviewer']],
  // Forms of a word, in any case; small words alone find nothing else.
  ['AUDIT docs', ['doc-keeper-haiku']],
  ['please review it', ['code_reviewer']],
  ['quantum', []],
  ['', ['architect', 'code_developer', 'code_reviewer', 'doc-keeper-haiku']],
])('"%s"', (query, names) => {
  expect(found(query)).toEqual(names)
})

import { expect, test } from 'vitest'
import {
  DroverError,
  ERROR_CATALOGUE,
  EXIT,
  invalidRequest,
  isDroverError,
  messageOf,
} from '../../src/core/errors.ts'
import { readDoc, tableRows } from './tables.ts'

const entries = Object.entries(ERROR_CATALOGUE)
const rows = tableRows(readDoc('errors.md'), 'code')

test('every code is documented once, and every documented code exists', () => {
  const documented = rows.map((row) => row['code'] ?? '')
  expect(documented.toSorted()).toEqual(Object.keys(ERROR_CATALOGUE).toSorted())
})

test.each(rows)('docs/errors.md tells the truth about $code', (row) => {
  const said = { http: Number(row['HTTP']), exit: Number(row['exit']) }
  expect(entries).toContainEqual([row['code'], said])
  expect(row['it means']).toMatch(/\w.*\.$/)
  expect(row['what to do']).toMatch(/\w/)
})

test("the contract's statuses and exit codes hold", () => {
  // CONTRACT §2: 2 for 400 and 404, 4 for 401, 402, 403, 409 and resource_exhaustion.
  const exitOf = new Map<number, number>([400, 404].map((http) => [http, EXIT.usage]))
  for (const http of [401, 402, 403, 409]) exitOf.set(http, EXIT.refused)
  const breaking = entries.filter(([, { http, exit }]) => (exitOf.get(http) ?? exit) !== exit)
  expect(breaking).toEqual([])
  expect(ERROR_CATALOGUE.resource_exhaustion).toEqual({ http: 503, exit: EXIT.refused })
  expect(ERROR_CATALOGUE.session_failed).toEqual({ http: 200, exit: EXIT.failed })
})

test('an error answers with its code, its message and what is known', () => {
  const cause = new Error('socket closed')
  const details = { agent_type: 'architect' }
  const error = new DroverError('singleton_violation', 'architect already runs.', details, { cause })
  expect(error).toMatchObject({ name: 'DroverError', httpStatus: 409, exitCode: 4, cause })
  expect(error.toAnswer()).toEqual({
    success: false,
    error: 'singleton_violation',
    message: 'architect already runs.',
    agent_type: 'architect',
  })
  expect(new DroverError('internal_error', 'x').details).toEqual({})
})

test('an error is known by its brand, not by its class', () => {
  expect(isDroverError(new DroverError('internal_error', 'x'))).toBe(true)
  // As another copy of the package would make it.
  expect(isDroverError({ [Symbol.for('drover.error')]: true })).toBe(true)
  for (const other of [new Error('x'), null, undefined, 'internal_error', 3]) {
    expect(isDroverError(other)).toBe(false)
  }
})

test('the brand does not travel into JSON', () => {
  const error = new DroverError('internal_error', 'x', { known: 1 })
  expect(JSON.parse(JSON.stringify(error))).toEqual({
    code: 'internal_error',
    details: { known: 1 },
    name: 'DroverError',
  })
})

test('an invalid request lists all problems, with and without a path', () => {
  const issues = [
    { path: 'prompt', message: 'must not be empty' },
    { path: '', message: 'must be an object' },
  ]
  const error = invalidRequest(issues)
  expect(error.code).toBe('invalid_request')
  expect(error.message).toBe('The request was refused: prompt: must not be empty; must be an object.')
  expect(error.details).toEqual({ issues })
})

test('anything that was thrown has a message', () => {
  expect(messageOf(new Error('broken'))).toBe('broken')
  expect(messageOf('broken')).toBe('broken')
  expect(messageOf(undefined)).toBe('undefined')
})

import { expect, test } from 'vitest'
import { createClosing } from '../../src/core/closing.ts'

test('everything is closed once, the last first, also after one that fails; the first failure is thrown', async () => {
  const closed: string[] = []
  const closing = createClosing()
  closing.add(() => closed.push('connection'))
  closing.add(() => Promise.reject(new Error('file')))
  closing.add(async () => {
    await Promise.resolve()
    closed.push('server')
    throw new Error('server')
  })
  const first = closing.run()
  expect(closing.run()).toBe(first)
  await expect(first).rejects.toThrow('server')
  expect(closed).toEqual(['server', 'connection'])
})

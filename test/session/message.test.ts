import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { interruptRequest, userMessage } from '../../src/session/message.ts'

it('is one line, whatever the text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const line = userMessage(text, 'u-1')
      expect(line).not.toContain('\n')
      expect(JSON.parse(line)).toEqual({
        type: 'user',
        message: { role: 'user', content: text },
        uuid: 'u-1',
      })
    }),
  )
})

it('is one line for whoever takes U+2028 for the end of one', () => {
  const line = userMessage('a\u2028b\u2029c', 'u-1')
  expect(line).not.toMatch(/[\u2028\u2029]/)
  expect(JSON.parse(line).message.content).toBe('a\u2028b\u2029c')
})

it('asks for an interrupt', () => {
  expect(JSON.parse(interruptRequest('int1'))).toEqual({
    type: 'control_request',
    request_id: 'int1',
    request: { subtype: 'interrupt' },
  })
})

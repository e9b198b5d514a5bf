import { describe, expect, test } from 'vitest'
import { findAgentType } from '../../src/config/agent-spec.ts'
import { loadAgentSpecs } from '../../src/config/spec-file.ts'
import { refusalOf } from './files.ts'

/** No spec file is there, so these are the shipped types. */
const { specs } = loadAgentSpecs({ path: null, cwd: '/nonexistent' })

describe('findAgentType', () => {
  test('the spec of the name', () => {
    expect(findAgentType(specs, 'code_developer').name).toBe('code_developer')
  })

  test.each([
    ['code-developer', 'Did you mean "code_developer"?'],
    ['architct', 'Did you mean "architect"?'],
    ['plumber', 'Known: architect, code_developer, project_manager, code_reviewer, doc-keeper-haiku.'],
    ['constructor', 'Known: '],
    ['', 'Known: '],
  ])('%j is not found', (name, hint) => {
    const refusal = refusalOf(() => findAgentType(specs, name))
    expect(refusal).toMatchObject({ code: 'agent_type_not_found', details: { agent_type: name } })
    expect(refusal?.message).toContain(hint)
  })
})

describe('the shipped types', () => {
  test('are the five of the contract', () => {
    expect([...specs.keys()]).toEqual([
      'architect',
      'code_developer',
      'project_manager',
      'code_reviewer',
      'doc-keeper-haiku',
    ])
  })

  test.each([...specs.values()])('$name is told what to do, with which tools, and what to report', (spec) => {
    const prompt = spec.systemPrompt ?? ''
    expect(prompt).toContain('How to work:')
    expect(prompt).toContain('unattended')
    expect(prompt).toMatch(/report/i)
    expect(prompt).toMatch(/"COMPLETE: /)
    expect(prompt).toMatch(/"BLOCKED: /)
    for (const tool of spec.allowedTools) expect(prompt).toContain(tool.replace(/\(.*/, ''))
    expect(spec.useCases.length).toBeGreaterThan(0)
    // It has to fit into one argument of the command line (128 KiB) with much room.
    expect(Buffer.byteLength(prompt)).toBeLessThan(16 * 1024)
  })

  test.each([...specs.values()])('$name asks nobody, and trusts no settings of the repository', (spec) => {
    expect(spec.permissionMode).toBe('dontAsk')
    expect(spec.settingSources).toEqual(['user'])
    expect(spec.allowedTools.filter((tool) => spec.disallowedTools.includes(tool))).toEqual([])
  })

  test.each(['code_reviewer', 'doc-keeper-haiku'])('%s cannot write files', (reader) => {
    expect(findAgentType(specs, reader).disallowedTools).toEqual(['Write', 'Edit', 'NotebookEdit'])
  })
})

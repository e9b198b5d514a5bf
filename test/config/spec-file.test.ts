import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AgentSpec } from '../../src/config/agent-spec.ts'
import { loadAgentSpecs } from '../../src/config/spec-file.ts'
import { issuesOf, refusalOf, tempDir } from './files.ts'

/** Loads a file with this text. */
function load(text: string | Uint8Array): { specs: ReadonlyMap<string, AgentSpec>; dir: string } {
  const dir = tempDir({ 'agent_specs.json': text })
  return { specs: loadAgentSpecs({ path: null, cwd: dir }).specs, dir }
}

/** The problems of a text, as `line key …`. */
function problemsOf(text: string | Uint8Array): string[] {
  const dir = tempDir({ 'agent_specs.json': text })
  const file = join(dir, 'agent_specs.json')
  return issuesOf(() => loadAgentSpecs({ path: null, cwd: dir })).map((issue) => {
    if (!issue.message.startsWith(file) || issue.file !== file)
      throw new Error(`no file in: ${issue.message}`)
    return issue.message.slice(file.length + 1)
  })
}

/** A file with one type that has these keys besides the required ones. */
function withKeys(keys: object): string {
  return JSON.stringify({ agent_types: { one: { description: 'd', model: 'm', ...keys } } }, null, 2)
}

describe('which file', () => {
  const other = '{"agent_types": {"other": {"description": "d", "model": "m"}}}'

  test('a named one, else ./agent_specs.json, else the shipped one', () => {
    const cwd = tempDir({ 'agent_specs.json': other, 'sub/mine.json': other.replace('other', 'mine') })
    expect([...loadAgentSpecs({ path: 'sub/mine.json', cwd }).specs.keys()]).toEqual(['mine'])
    expect(loadAgentSpecs({ path: null, cwd })).toMatchObject({ path: join(cwd, 'agent_specs.json') })
    expect([...loadAgentSpecs({ path: null, cwd: join(cwd, 'sub') }).specs.keys()]).toContain('architect')
  })

  test('a link is followed', () => {
    const cwd = tempDir({ 'real.json': other })
    symlinkSync('real.json', join(cwd, 'agent_specs.json'))
    expect([...loadAgentSpecs({ path: null, cwd }).specs.keys()]).toEqual(['other'])
  })

  test('missing, a directory, a FIFO, a device: a sentence, and no hang', () => {
    const cwd = tempDir()
    mkdirSync(join(cwd, 'directory'))
    execFileSync('mkfifo', [join(cwd, 'fifo')])
    const problem = (path: string): string | undefined =>
      issuesOf(() => loadAgentSpecs({ path, cwd }))[0]?.message
    expect(problem('none.json')).toBe(`${join(cwd, 'none.json')} does not exist`)
    expect(problem('directory')).toBe(`${join(cwd, 'directory')} is a directory, not a file`)
    expect(problem('fifo')).toBe(`${join(cwd, 'fifo')} is not a regular file`)
    expect(problem('/dev/zero')).toBe('/dev/zero is not a regular file')
  })

  test.runIf(process.getuid?.() !== 0)('without permission: a sentence', () => {
    const cwd = tempDir({ 'agent_specs.json': other })
    chmodSync(join(cwd, 'agent_specs.json'), 0)
    expect(issuesOf(() => loadAgentSpecs({ path: null, cwd }))[0]?.message).toContain('no permission')
  })
})

describe('the text', () => {
  test.each([
    ['', '1: is not valid JSON: Unexpected end of JSON input'],
    ['{\n\n', "3: is not valid JSON: Expected property name or '}'"],
    ['{\n"agent_types": x}', "2: is not valid JSON: Unexpected token 'x'"],
    ['{}\n{}', '2: is not valid JSON: Unexpected non-whitespace character after JSON'],
    ['{"a": 1,\n}', '2: is not valid JSON: Expected double-quoted property name'],
    ['{\n// comment\n}', "2: is not valid JSON: Expected property name or '}'"],
    ['agent_types:\n  a: 1', "1: is not valid JSON: Unexpected token 'a'"],
  ])('%j', (text, problem) => {
    expect(problemsOf(text)).toEqual([problem])
  })

  test('too large, not UTF-8, nested without end', () => {
    expect(problemsOf(' '.repeat(256 * 1024 + 1))).toEqual(['is larger than 256 KB'])
    expect(problemsOf(Buffer.from('{"a": "\xff"}', 'latin1'))).toEqual(['is not UTF-8 text'])
    expect(problemsOf('['.repeat(100_000) + ']'.repeat(100_000))).toEqual([
      '1: must be an object with "agent_types"',
    ])
  })

  test('a byte order mark and tabs do no harm', () => {
    expect([...load(`\uFEFF${withKeys({}).replaceAll('  ', '\t')}`).specs.keys()]).toEqual(['one'])
  })

  test('control characters of a file do not reach the terminal', () => {
    const cwd = tempDir({ 'agent_specs.json': '{"agent_types": {"\\u001b[2J": 5}}' })
    const refusal = refusalOf(() => loadAgentSpecs({ path: null, cwd }))
    expect(refusal?.message).toContain('\uFFFD[2J')
    expect(refusal?.message.replaceAll('\n', '')).toMatch(/^\P{Cc}*$/u)
  })

  test('names that occur twice are refused, also deep inside', () => {
    const text = `{
  "agent_types": {
    "one": { "description": "d", "model": "m", "env": { "SET": { "A": "1",
      "A": "2" } } },
    "two": { "description": "d", "model": "m" },
    "one": { "description": "d",
      "model": "m", "\\u006dodel": "n" }
  }
}`
    expect(problemsOf(text)).toEqual([
      '4: agent_types.one.env.SET.A is there a second time',
      '6: agent_types.one is there a second time',
      '7: agent_types.one.model is there a second time',
    ])
  })
})

describe('the specs', () => {
  test('description and model are enough', () => {
    const spec = load(withKeys({})).specs.get('one')
    expect(spec).toEqual({
      name: 'one',
      description: 'd',
      useCases: [],
      model: 'm',
      fallbackModel: null,
      mcpConfig: null,
      requireMcp: false,
      systemPrompt: null,
      agent: null,
      templates: [],
      allowedTools: [],
      disallowedTools: [],
      orchestratorTools: ['check_inbox', 'send_message'],
      permissionMode: 'dontAsk',
      permissionPrompts: 'deny',
      permissionWaitSeconds: null,
      settingSources: ['user'],
      expectFiles: [],
      timeout: 3600,
      startupTimeoutSeconds: null,
      stallTimeoutSeconds: null,
      idleTimeoutSeconds: null,
      autoRestart: true,
      maxRestarts: null,
      maxInstances: 1,
      maxTurns: null,
      maxBudgetUsd: null,
      workspace: 'shared',
      env: { pass: [], set: {} },
      backgroundTasks: false,
    })
  })

  test('the example of the contract', () => {
    const { specs, dir } = load(`{"agent_types": {"doc-keeper-haiku": {
  "description": "Audits the knowledge vault", "use_cases": ["…"], "model": "haiku", "fallback_model": null,
  "mcp_config": "configs/agent-configs/doc-keeper-haiku.mcp.json", "require_mcp": false, "system_prompt": "…", "agent": null,
  "templates": {"audit": "…{{task}}…"}, "allowed_tools": ["Read", "Grep"], "disallowed_tools": [], "orchestrator_tools": ["check_inbox", "send_message"],
  "permission_mode": "dontAsk", "setting_sources": ["user"], "expect_files": [],
  "timeout": 300, "startup_timeout_seconds": 10, "stall_timeout_seconds": 60, "idle_timeout_seconds": 1800,
  "auto_restart": true, "max_restarts": 3, "max_instances": 1, "max_turns": null, "max_budget_usd": null,
  "workspace": "shared", "env": {"PASS": ["GIT_AUTHOR_NAME"], "SET": {}}, "background_tasks": false}}}`)
    expect(specs.get('doc-keeper-haiku')).toMatchObject({
      mcpConfig: join(dir, 'configs/agent-configs/doc-keeper-haiku.mcp.json'),
      templates: [{ name: 'audit', text: '…{{task}}…', variables: ['task'], required: ['task'] }],
      allowedTools: ['Read', 'Grep'],
      timeout: 300,
      startupTimeoutSeconds: 10,
      stallTimeoutSeconds: 60,
      idleTimeoutSeconds: 1800,
      maxRestarts: 3,
      env: { pass: ['GIT_AUTHOR_NAME'], set: {} },
    })
  })

  test('a list of lines is one text', () => {
    const spec = load(withKeys({ system_prompt: ['a', '', 'b'], templates: { t: ['x', 'y'] } })).specs.get(
      'one',
    )
    expect(spec).toMatchObject({ systemPrompt: 'a\n\nb', templates: [{ name: 't', text: 'x\ny' }] })
  })

  test('are frozen', () => {
    const spec = load(withKeys({ env: { SET: { A: '1' } } })).specs.get('one')
    expect(() => Object.assign(spec?.env.set ?? {}, { A: '2' })).toThrow(TypeError)
    expect(() => Object.assign(spec ?? {}, { model: 'other' })).toThrow(TypeError)
  })

  test('all problems of all types, in the order of the file, with line and key', () => {
    const text = `{
  "agent_types": {
    "architect": {
      "description": "d",
      "modle": "opus",
      "permission_mode": "dontask",
      "allowed_tools": ["Read", "--dangerously-skip-permissions"],
      "max_instances": 0
    },
    "Code Developer": { "description": "d", "model": "m" },
    "reviewer": {
      "description": "",
      "model": "-m",
      "env": { "PAS": [], "SET": { "A B": "x", "AGENT_ID": "x", "N": 5 } },
      "templates": { "t": "{{ task }} {{oops" },
      "timeout": "300"
    }
  },
  "agent_type": {}
}`
    expect(problemsOf(text)).toEqual([
      '3: agent_types.architect.model is required',
      '5: agent_types.architect.modle is not a key of agent specs; did you mean "model"?',
      '6: agent_types.architect.permission_mode must be one of acceptEdits, auto, bypassPermissions, manual, dontAsk, plan; did you mean "dontAsk"?',
      '7: agent_types.architect.allowed_tools.1 must not begin with "-" (the CLI would take it for an option) or a space',
      '8: agent_types.architect.max_instances must be a whole number from 1 to 100',
      '10: agent_types.Code Developer has a name that must be a lower-case name such as "code_developer" (a-z, 0-9, _ and -, at most 64 characters)',
      '12: agent_types.reviewer.description must not be empty',
      '13: agent_types.reviewer.model must not begin with "-" (the CLI would take it for an option) or a space',
      '14: agent_types.reviewer.env.SET.A B has a name that must be the name of an environment variable (letters, digits and _)',
      '14: agent_types.reviewer.env.SET.AGENT_ID has a name that is a variable that Drover sets itself',
      '14: agent_types.reviewer.env.SET.N must be text',
      '14: agent_types.reviewer.env.PAS is not a key of agent specs; did you mean "PASS"?',
      '15: agent_types.reviewer.templates.t is no template: output "{{oops" not closed, line:1, col:12',
      '16: agent_types.reviewer.timeout must be a whole number from 1 to 2592000',
      '19: agent_type is not a key of agent specs; did you mean "agent_types"?',
    ])
  })

  test.each([
    '[]',
    'null',
    '"x"',
    '{}',
    '{"agent_types": []}',
    '{"agent_types": {}}',
    '{"agent_types": {"a": null}}',
  ])('%s is refused', (text) => {
    expect(problemsOf(text)).toHaveLength(1)
  })

  test.each([
    ['description', 5],
    ['description', 'two\nlines'],
    ['model', ''],
    ['model', ' opus'],
    ['model', 'a\u0000b'],
    ['model', 'x\u001b[2J'],
    ['fallback_model', '--x'],
    ['agent', '-p'],
    ['mcp_config', '~/x.json'],
    ['mcp_config', ''],
    ['system_prompt', 5],
    ['system_prompt', ['a', 5]],
    ['system_prompt', 'a\u0000'],
    ['setting_sources', ['user', 'users']],
    ['setting_sources', 'user'],
    ['orchestrator_tools', ['spawn']],
    ['disallowed_tools', ['-x']],
    ['disallowed_tools', [5]],
    ['expect_files', ['/etc/passwd']],
    ['expect_files', ['a/../../b']],
    ['timeout', 0],
    ['timeout', 1.5],
    ['timeout', 2_592_001],
    ['stall_timeout_seconds', 0],
    ['idle_timeout_seconds', -1],
    ['startup_timeout_seconds', '10'],
    ['auto_restart', 'yes'],
    ['max_restarts', -1],
    ['max_instances', 1.5],
    ['max_turns', 0],
    ['max_budget_usd', 0],
    ['max_budget_usd', 1e300],
    ['workspace', 'own'],
    ['env', []],
    ['env', { PASS: ['A=B'] }],
    ['env', { PASS: ['DROVER_SESSION_ID'] }],
    ['env', { SET: { CLAUDE_CONFIG_DIR: '/x' } }],
    ['env', { SET: { A: 'a\u0000' } }],
    ['templates', { 'No Name': 'x' }],
    ['templates', { t: 5 }],
    ['background_tasks', 1],
    ['use_cases', ['']],
    ['require_mcp', 'no'],
    ['allowed_tools', 'Read'],
    ['permission_mode', 'ask'],
    ['permission_prompts', true],
    ['permission_wait_seconds', 0],
  ])('%s: %j is refused by name', (key, value) => {
    const problems = problemsOf(withKeys({ [key]: value }))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(`agent_types.one.${key}`)
  })

  test.each(['__proto__', 'Aa', '1a', 'a b', 'a/b', 'a.b', `a${'b'.repeat(64)}`, 'ä', ''])(
    'the name %j is refused, never lost',
    (name) => {
      const text = `{"agent_types": {${JSON.stringify(name)}: {"description": "d", "model": "m"}}}`
      expect(problemsOf(text)).not.toEqual([])
    },
  )

  test('a member named __proto__ is refused beside others too', () => {
    const one = '{"description": "d", "model": "m"}'
    expect(problemsOf(`{"agent_types": {"ok": ${one}, "__proto__": ${one}}}`)).toHaveLength(1)
    const set = '{"description": "d", "model": "m", "env": {"SET": {"A": "1", "__proto__": "x"}}}'
    expect(problemsOf(`{"agent_types": {"ok": ${set}}}`)).toHaveLength(1)
    expect(problemsOf(`{"agent_types": {"ok": ${one}}, "__proto__": {"x": 1}}`)).toHaveLength(1)
  })

  test.each(['constructor', 'tostring', 'valueof'])('the name %s is a name like any other', (name) => {
    expect([
      ...load(`{"agent_types": {"${name}": {"description": "d", "model": "m"}}}`).specs.keys(),
    ]).toEqual([name])
  })

  test('what is valid comes back as it was written', () => {
    const word = fc.stringMatching(/^[A-Za-z][A-Za-z0-9 ():*.,é漢-]{0,20}$/)
    const typeName = fc.stringMatching(/^[a-z][a-z0-9_-]{0,20}$/)
    const spec = fc.record(
      {
        description: word,
        model: word,
        fallback_model: fc.option(word),
        system_prompt: fc.option(fc.string().filter((text) => !text.includes('\0'))),
        allowed_tools: fc.array(word),
        timeout: fc.integer({ min: 1, max: 2_592_000 }),
        stall_timeout_seconds: fc.option(fc.double({ min: 0.001, max: 1e6, noNaN: true })),
        auto_restart: fc.boolean(),
        max_instances: fc.integer({ min: 1, max: 100 }),
        max_budget_usd: fc.option(fc.double({ min: 0.01, max: 1e6, noNaN: true })),
      },
      { requiredKeys: ['description', 'model'] },
    )
    fc.assert(
      fc.property(fc.dictionary(typeName, spec, { minKeys: 1, maxKeys: 5 }), (types) => {
        const { specs } = load(JSON.stringify({ agent_types: types }))
        expect([...specs.keys()].toSorted()).toEqual(Object.keys(types).toSorted())
        for (const [name, written] of Object.entries(types)) {
          expect(specs.get(name)).toMatchObject({
            name,
            description: written.description,
            model: written.model,
            fallbackModel: written.fallback_model ?? null,
            systemPrompt: written.system_prompt ?? null,
            allowedTools: written.allowed_tools ?? [],
            timeout: written.timeout ?? 3600,
            stallTimeoutSeconds: written.stall_timeout_seconds ?? null,
            autoRestart: written.auto_restart ?? true,
            maxInstances: written.max_instances ?? 1,
            maxBudgetUsd: written.max_budget_usd ?? null,
          })
        }
      }),
      { numRuns: 50 },
    )
  })
})

import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { promptTemplate, renderTemplate, templateProblem } from '../../src/config/prompt-template.ts'
import { loadAgentSpecs } from '../../src/config/spec-file.ts'

describe('a template', () => {
  test.each([
    'Plain text, a brace { and a %',
    '{{ task }}',
    '{{task}} of {{ priority_number }}',
    '{{ days | default: "30" }} {{ name | strip | upcase }}',
    '{% if task %}{{ task }}{% elsif other %}x{% else %}none{% endif %}',
    '{% unless done %}go on{% endunless %}{% comment %}{{ Any.thing }}{% endcomment %}',
    '{% raw %}{{ not.a.variable }}{% endraw %}',
  ])('may say %j', (text) => expect(templateProblem(text)).toBe(null))

  test.each([
    ['{{ task', 'is no template: output "{{ task" not closed'],
    ['{{ }}', 'is no template'],
    ['{% if task %}', 'is no template: tag {% if task %} not closed'],
    ['{% endif %}', 'is no template'],
    ['a\n{% include "/etc/passwd" %}', 'is no template: tag "include" not found, line:2'],
    ['{% render "x" %}', 'tag "render" not found'],
    ['{% layout "x" %}', 'tag "layout" not found'],
    ['{% for i in (1..9999999) %}x{% endfor %}', 'tag "for" not found'],
    ['{% assign a = 1 %}', 'tag "assign" not found'],
    ['{{ task | append: task }}', 'undefined filter: append'],
    ['{{ task | raw }}', 'undefined filter: raw'],
    ['{{ task.length }}', 'names "task.length"'],
    ['{{ task["constructor"] }}', 'names "task.constructor"'],
    ['{{ Task }}', 'names "Task"'],
    ['{{ a-b }}', 'names "a-b"'],
    ['{{a}}'.repeat(1001), 'must have at most 1000 variables and tags'],
    ['x'.repeat(65_537), 'must be at most 65536 characters'],
  ])('may not say %j', (text, problem) => expect(templateProblem(text)).toContain(problem))

  test('says what it names, and what it cannot do without', () => {
    const { variables, required } = promptTemplate(
      't',
      '{{ b }} {{ a }} {{ days | default: "30" }}{% if task %}{{ task }} {{ more }}{% endif %} {{ b }}',
    )
    expect({ variables, required }).toEqual({
      variables: ['b', 'a', 'days', 'task', 'more'],
      required: ['b', 'a'],
    })
  })
})

describe('rendering', () => {
  test('says all that is missing on the way that it takes', () => {
    const text = '{{ a }}{% if b %}{{ c }}{{ d }}{% endif %}{{ e }}'
    expect(renderTemplate(text, {})).toEqual({ ok: false, missing: ['a', 'e'] })
    expect(renderTemplate(text, { b: 1 })).toEqual({ ok: false, missing: ['a', 'c', 'd', 'e'] })
    expect(renderTemplate(text, { a: 1, e: 0 })).toEqual({ ok: true, text: '10' })
  })

  test('values are text and stay it, whatever they are', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'grapheme' }), fc.constant('{{ b }}{% if %}')), (a) => {
        expect(renderTemplate('<{{ a }}>', { a })).toEqual({ ok: true, text: `<${a}>` })
      }),
      { numRuns: 50, seed: 7 },
    )
  })

  test('knows no properties of objects that were never given', () => {
    const names = ['constructor', '__proto__', 'tostring', 'valueof'].filter((name) => /^[a-z]/.test(name))
    for (const name of names)
      expect(renderTemplate(`{{ ${name} }}`, {})).toEqual({ ok: false, missing: [name] })
  })

  test('is bounded', () => {
    const rendered = renderTemplate('{{ a }}{{ a }}', { a: 'x'.repeat(6_000_000) })
    expect(rendered).toEqual({
      ok: false,
      problem: 'makes a prompt of more than 10 MB, and the CLI takes no more',
    })
  })
})

test('the shipped templates: each says what to do and how to report, and renders with what it requires', () => {
  const { specs } = loadAgentSpecs({ path: null, cwd: '/nowhere' })
  const templates = [...specs.values()].flatMap((spec) =>
    spec.templates.map((template) => ({ key: `${spec.name}.${template.name}`, ...template })),
  )
  expect(templates.map(({ key }) => key)).toEqual([
    'architect.create_spec',
    'architect.refactoring_analysis',
    'code_developer.implement',
    'code_developer.bug_fix',
    'project_manager.auto_planning',
    'project_manager.roadmap_health',
    'code_reviewer.review_commit',
    'doc-keeper-haiku.audit',
  ])
  for (const { text, required, variables } of templates) {
    const least = renderTemplate(text, Object.fromEntries(required.map((name) => [name, `<${name}>`])))
    const all = renderTemplate(text, Object.fromEntries(variables.map((name) => [name, `<${name}>`])))
    for (const rendered of [least, all]) {
      expect(rendered).toMatchObject({ ok: true })
      if (!rendered.ok) continue
      expect(rendered.text).toMatch(/## Steps\n1\. [^]*\n\n## Report\n[^]*"COMPLETE: /)
      expect(rendered.text).not.toMatch(/\n\n\n|\{\{|\{%/)
    }
    if (all.ok) for (const name of variables) expect(all.text).toContain(`<${name}>`)
  }
})

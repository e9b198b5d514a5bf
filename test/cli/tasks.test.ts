import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openBoard, type TestBoard } from '../board/open-board.ts'
import { playSession } from '../board/play-session.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { openCli, type Cli } from './run-cli.ts'

let redis: TestRedis
let board: TestBoard
let cli: Cli

beforeAll(async () => {
  redis = await startRedis()
  board = await openBoard(redis.url, {
    templates: { fix: 'Fix {{ issue }}.{% if task %} {{ task }}{% endif %}' },
  })
  cli = await openCli(board.url)
})
afterAll(async () => {
  await cli.close()
  await board.stop()
  await redis.stop()
})

const file = async (name: string, text: string): Promise<string> => {
  const path = join(cli.dir, name)
  await writeFile(path, text)
  return path
}

describe('tasks add', () => {
  test('adds one, which waits for another', async () => {
    const first = await cli.json(['tasks', 'add', 'architect', 'Write the spec', '--task-id', 'SPEC'])
    expect(first).toMatchObject({ code: 0, document: { success: true, added: 1 } })
    const args = [
      'tasks',
      'add',
      'code_developer',
      'Implement it',
      '--task-id',
      'CODE',
      '--depends-on',
      'SPEC',
    ]
    const second = await cli.json([...args, '--priority', '5'])
    expect(second.document.tasks[0]).toMatchObject({
      task_id: 'CODE',
      status: 'pending',
      priority: 5,
      depends_on: ['SPEC'],
      workspace_dir: cli.dir,
    })

    const shown = await cli.run(['tasks', 'show', 'CODE'])
    expect(shown.stdout).toMatch(/status +pending\ntask +CODE\n/)
    expect(shown.stdout).toMatch(/waits for +SPEC/)
    expect(shown.stdout).toMatch(/\n\nImplement it\n$/)
    expect((await cli.run(['tasks', 'show', 'SPEC'])).stdout).toMatch(/awaited by +CODE/)
  })

  test('makes an id where none is given', async () => {
    const { document } = await cli.json(['tasks', 'add', 'architect', 'More'])
    expect(document.tasks[0].task_id).toMatch(/^task-[0-9a-f]{12}$/)
  })

  test.each([
    [['architekt', 'x'], 'Did you mean "architect"?', 2],
    [['architect'], 'There is no prompt.', 2],
    [['architect', 'x', '--task-id', '99'], 'task_id: must be an id', 2],
    [
      ['architect', '--workspace', 'none', '--priority', '0'],
      /prompt: There is no prompt.*\n {2}- workspace_dir: .*\n {2}- priority: /,
      2,
    ],
    [['architect', 'x', '--depends-on', 'SPEK'], 'SPEC', 2],
    [['architect', 'x', '--workspace', 'none'], 'does not exist', 2],
    [['architect', 'another one', '--task-id', 'SPEC'], 'SPEC', 4],
  ])('%j is refused', async (args, sentence, exit) => {
    const { code, stdout, stderr } = await cli.run(['tasks', 'add', ...args])
    expect(stderr).toMatch(sentence)
    expect({ code, stdout }).toEqual({ code: exit, stdout: '' })
  })
})

describe('tasks import', () => {
  test('adds all of a file; workspaces count from the file, repeating it adds nothing', async () => {
    await mkdir(join(cli.dir, 'plans/shop'), { recursive: true })
    const plan = await file(
      'plans/tasks.yaml',
      [
        'tasks:',
        '  - task_id: I-1',
        '    agent_type: architect',
        '    prompt: |',
        '      Two lines',
        '      of work',
        '    workspace_dir: shop',
        '  - {task_id: I-2, agent_type: code_developer, prompt: Build it, depends_on: [I-1]}',
      ].join('\n'),
    )
    const { code, document } = await cli.json(['tasks', 'import', plan])
    expect({ code, added: document.added }).toEqual({ code: 0, added: 2 })
    expect(document.tasks).toMatchObject([
      { task_id: 'I-1', prompt: 'Two lines\nof work\n', workspace_dir: join(cli.dir, 'plans/shop') },
      { task_id: 'I-2', workspace_dir: cli.dir, depends_on: ['I-1'] },
    ])
    const again = await cli.run(['tasks', 'import', plan])
    expect(again.stdout).toMatch(/^0 added, 2 there already\n/)
  })

  test('lists all problems, each with its line, and adds nothing', async () => {
    const plan = await file(
      'wrong.yaml',
      [
        'tasks:',
        '  - task_id: W-1',
        '    agent_type: Architect',
        '    prompt: ""',
        '  - task_id: W-1',
        '    agent_type: architect',
        '    workspace_dir: ~/shop',
        '    promt: x',
        '  - just text',
      ].join('\n'),
    )
    const { code, stdout, stderr } = await cli.run(['tasks', 'import', plan])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    for (const problem of [
      `${plan}:3: tasks.0.agent_type must be a lower-case name`,
      `${plan}:4: tasks.0.prompt must not be empty`,
      `${plan}:5: tasks.1.task_id is there a second time`,
      `${plan}:5: tasks.1.prompt`,
      `${plan}:7: tasks.1.workspace_dir must not begin with "~"`,
      `${plan}:8: tasks.1.promt unknown member`,
      `${plan}:9: tasks.2 `,
    ]) {
      expect(stderr).toContain(problem)
    }
    expect((await cli.json(['tasks', 'list', '--q', 'W-1'])).document.tasks).toEqual([])
  })

  test('what only the board knows has its lines too', async () => {
    const plan = await file(
      'unknown.yaml',
      [
        'tasks:',
        '  - {task_id: U-1, agent_type: architekt, prompt: x}',
        '  - task_id: U-2',
        '    agent_type: architect',
        '    prompt: x',
        '    depends_on: [U-1, NOWHERE]',
      ].join('\n'),
    )
    const { code, document } = await cli.json(['tasks', 'import', plan])
    expect({ code, error: document.error }).toEqual({ code: 2, error: 'agent_type_not_found' })
    expect(document.issues).toMatchObject([
      {
        path: 'tasks.0.agent_type',
        message: expect.stringContaining('unknown.yaml:2: tasks.0.agent_type: There is'),
      },
      { path: 'tasks.1.depends_on.1', message: expect.stringContaining('unknown.yaml:6: ') },
    ])
  })

  test.each([
    ['syntax.yaml', 'tasks: [', /syntax\.yaml:1: is not valid YAML/],
    ['empty.yaml', '', /empty\.yaml:1: /],
    ['list.yaml', '- task_id: A\n', /list\.yaml:1: /],
    ['none.yaml', 'tasks: []\n', /none\.yaml:1: tasks /],
    ['alias.yaml', 'tasks: *nowhere\n', /alias\.yaml:1: is not valid YAML/],
    [
      'workspace.yaml',
      'tasks:\n  - task_id: X\n    agent_type: architect\n    prompt: x\n    workspace_dir: nowhere\n',
      /workspace\.yaml:5: .*nowhere, which does not exist/,
    ],
    [
      'cycle.yaml',
      'tasks:\n  - {task_id: C1, agent_type: architect, prompt: x, depends_on: [C2]}\n  - {task_id: C2, agent_type: architect, prompt: x, depends_on: [C1]}\n',
      /C1 → C2 → C1/,
    ],
  ])('%s is refused with a sentence', async (name, text, sentence) => {
    const { code, stderr } = await cli.run(['tasks', 'import', await file(name, text)])
    expect(stderr).toMatch(sentence)
    expect(stderr).not.toContain('    at ')
    expect([2, 4]).toContain(code)
  })

  test('a file that is not there, or no file, is refused', async () => {
    expect((await cli.run(['tasks', 'import', 'nowhere.yaml'])).stderr).toMatch(
      /nowhere\.yaml does not exist/,
    )
    expect((await cli.run(['tasks', 'import', '.'])).stderr).toMatch(/is a directory/)
  })
})

describe('tasks list', () => {
  test('shows what each waits for', async () => {
    const { code, stdout } = await cli.run(['tasks', 'list', '--agent-type', 'code_developer'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^task +agent type +status +age +waits for +prompt\n/)
    expect(stdout).toMatch(/CODE +code_developer +pending +\d+ s +SPEC +Implement it/)
  })
})

describe('templates', () => {
  test('of a task and of a session', async () => {
    const args = ['code_developer', '--template', 'fix', '--var', 'issue=a=b', 'Now']
    const added = await cli.json(['tasks', 'add', ...args, '--task-id', 'TPL-1', '--priority-number', '4'])
    expect(added.document.tasks[0]).toMatchObject({ prompt: 'Fix a=b. Now', template: 'fix', priority: 4 })
    const spawned = await cli.json(['spawn', ...args, '--wait', 'accepted'])
    expect(spawned.code).toBe(0)
    const { body } = await board.get(`/api/v1/sessions/${spawned.document.session_id}`)
    expect(body.session).toMatchObject({ task_description: 'Fix a=b. Now', template: 'fix' })
    expect((await cli.run(['types', 'show', 'architect'])).stdout).toMatch(/template +fix: issue, \[task\]/)
  })

  test('with the words of a mistake', async () => {
    const { code, stderr } = await cli.run(['spawn', 'architect', '--template', 'fix', '--var', 'isue=x'])
    expect(code).toBe(2)
    expect(stderr).toContain('did you mean "issue"?')
    expect(stderr).toContain('vars.issue: is required by the template fix')
    expect((await cli.run(['spawn', 'architect', '--template', 'fix', '--var', 'issue'])).code).toBe(2)
  })

  test('in a file, beside names of the roadmap', async () => {
    const plan = await file(
      'templates.yaml',
      [
        'tasks:',
        '  - {task_id: TPL-2, agent_type: architect, template: fix, vars: {issue: 42}, priority_number: 9}',
        'priorities: [{priority_number: 9, title: Nine}]',
      ].join('\n'),
    )
    expect((await cli.json(['tasks', 'import', plan])).document.tasks[0]).toMatchObject({ prompt: 'Fix 42.' })
  })
})

describe('tasks cancel, retry, depend and graph', () => {
  test('say what became of the task', async () => {
    for (const args of [['G-1'], ['G-2', '--depends-on', 'G-1'], ['G-3']])
      await cli.run(['tasks', 'add', 'architect', 'x', '--task-id', ...args])
    const depend = await cli.run(['tasks', 'depend', 'G-3', '--on', 'G-2'])
    expect(depend).toMatchObject({ code: 0, stdout: 'The task G-3 now depends on G-2.\n' })
    expect((await cli.run(['tasks', 'depend', 'G-1', '--on', 'G-3'])).stderr).toContain(
      'G-1 → G-3 → G-2 → G-1',
    )

    const graph = await cli.run(['tasks', 'graph', '--task-id', 'G-2'])
    expect(graph.stdout).toMatch(
      /^level +task +status +agent type +after\n0 +G-1 +\w+ +architect *\n1 +G-2 +pending/,
    )
    expect(graph.stdout).toMatch(/2 +G-3 +pending +architect +G-2\n/)
    const mermaid = await cli.run(['tasks', 'graph', '--task-id', 'G-2', '--format', 'mermaid'])
    expect(mermaid.stdout).toMatch(/^flowchart TD\n {2}t0\["G-1<br\/>architect"\]:::/)
    expect(mermaid.stdout).toContain('\n  t0 --> t1\n  t1 --> t2\n')

    const cancel = await cli.json(['tasks', 'cancel', 'G-1', '--reason', 'not now'])
    expect(cancel.document).toMatchObject({ success: true, status: 'cancelled', dependents: ['G-2'] })
    expect((await cli.run(['tasks', 'show', 'G-1'])).stdout).toMatch(/why +Cancelled: not now\./)
    expect(await cli.run(['tasks', 'retry', 'G-1'])).toMatchObject({
      code: 0,
      stdout: 'The task G-1 runs again (run 1).\n',
    })
    expect((await cli.run(['tasks', 'retry', 'G-3'])).code).toBe(4)
    expect((await cli.run(['tasks', 'cancel', 'G-9'])).code).toBe(2)
  })
})

test('spawn --task-id runs the task, with what it says', async () => {
  // It waits for another one, so that only this command can have asked for its session.
  await cli.run(['tasks', 'add', 'code_developer', 'Before', '--task-id', 'RUN-0'])
  const add = ['tasks', 'add', 'architect', 'From the task', '--task-id', 'RUN-1', '--depends-on', 'RUN-0']
  expect((await cli.run(add)).code).toBe(0)
  const running = cli.start(['--json', 'spawn', 'architect', '--task-id', 'RUN-1', '--wait', 'completed'])
  const id = await until(async () => {
    const { body } = await board.get('/api/v1/sessions?task_id=RUN-1')
    return body.sessions[0]?.session_id as string | undefined
  })
  const agent = await playSession(board, id)
  await agent.end()
  const { code, stdout, stderr } = await running.ended
  expect(code, stderr).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({ session_id: id, task_id: 'RUN-1', status: 'completed' })
  const { body } = await board.get(`/api/v1/sessions/${id}/events?limit=1`)
  expect(body.events[0].payload.request).toMatchObject({ prompt: 'From the task', workspace_dir: cli.dir })

  const ended = await cli.run(['spawn', 'architect', '--task-id', 'RUN-1'])
  expect(ended.code).toBe(4)
  expect(ended.stderr).toContain('RUN-1 is completed')
})

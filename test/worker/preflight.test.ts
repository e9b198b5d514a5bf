import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AgentSpec } from '../../src/config/agent-spec.ts'
import { agentSpecsSchema, toAgentSpec } from '../../src/config/spec-schema.ts'
import { newSessionId } from '../../src/core/ids.ts'
import { recordOf } from '../../src/queue/session-record.ts'
import { workspaceId } from '../../src/session/workspace.ts'
import { createGit } from '../../src/session/worktree/git.ts'
import { createWorktrees, type Worktrees } from '../../src/session/worktree/worktrees.ts'
import { preflight } from '../../src/worker/preflight.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { initRepository, type TestRepository } from '../support/repository.ts'

let scratch: Scratch
let repository: TestRepository
let worktrees: Worktrees
beforeAll(async () => {
  scratch = await createScratch()
  repository = initRepository(join(scratch.dir, 'shop'))
  worktrees = createWorktrees({
    git: createGit({ PATH: process.env.PATH, HOME: scratch.dir }),
    dataDir: join(scratch.dir, 'data'),
    roots: [scratch.dir],
    podId: 'pod',
    host: 'here',
    namespace: 'default',
    lock: (_name, work) => work(),
    lifeOf: async () => 'live',
  })
})
afterAll(() => scratch.check())

function specOf(workspace: 'shared' | 'worktree'): AgentSpec {
  const written = { agent_types: { architect: { description: 'x', model: 'opus', workspace } } }
  const spec = agentSpecsSchema.parse(written).agent_types['architect']
  if (spec === undefined) throw new Error('no spec')
  return toAgentSpec('architect', spec, '/')
}

/** Of a session: what was asked for, where it has begun, and its type as it is now; whether it has a worktree. */
const CASES: readonly (readonly [
  string,
  boolean | null,
  'no' | 'shared' | 'worktree',
  'shared' | 'worktree',
  boolean,
])[] = [
  ['new, of a type with worktrees', null, 'no', 'worktree', true],
  ['new, of a type without', null, 'no', 'shared', false],
  ['new, asked for', true, 'no', 'shared', true],
  ['new, refused', false, 'no', 'worktree', false],
  ['begun in the directory, before its type got worktrees', null, 'shared', 'worktree', false],
  ['begun in a worktree, before its type lost them', null, 'worktree', 'shared', true],
]

test.each(CASES)(
  'a session keeps the kind of workspace that it began in: %s',
  async (_name, asked, begun, now, has) => {
    const sessionId = newSessionId()
    const own = begun === 'worktree'
    const owner = { sessionId, agentType: 'architect', taskId: null, ancestors: [], hasBegun: false }
    const made = own ? await worktrees.open(await worktrees.repositoryOf(repository.dir), owner) : null
    const inDirectory = begun === 'shared' ? await workspaceId(repository.dir) : ''
    const record = recordOf(sessionId, {
      agent_type: 'architect',
      request: JSON.stringify({
        workspace_dir: repository.dir,
        ...(asked === null ? {} : { worktree: asked }),
      }),
      workspace_id: made?.workspace_id ?? inDirectory,
      worktree_path: made?.path ?? '',
    })
    const parts = { roots: [scratch.dir], worktrees, searchPath: '' }
    const check = await preflight(parts, specOf(now), record)
    expect(check).toMatchObject({ ok: true, repository: has ? { topLevel: repository.dir } : null })
    // Redis has lost where it worked: what it began in is told by its id.
    if (own) {
      const lost = await preflight(parts, specOf('worktree'), { ...record, worktreePath: null })
      expect(lost).toMatchObject({ ok: true, workspaceId: made?.workspace_id })
    }
  },
)

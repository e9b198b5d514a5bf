/** The real CLI in rehearsal: it works in a worktree, as an agent of the repository. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseScript } from '../../src/rehearsal/load-script.ts'
import { startRehearsal, type Rehearsal } from '../../src/rehearsal/rehearsal.ts'
import { claudePath } from '../support/claude.ts'
import { openHouse, type PodHouse } from '../support/pod.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { initRepository } from '../support/repository.ts'

const SCRIPT = `description: x
agents:
  architect:
    - text: I write and commit.
      tools:
        - name: Bash
          input:
            command: 'echo rivers > poem.txt && git add . && git -c user.name=A -c user.email=a@localhost commit -qm Poem'
    - text: Done.`

let server: TestRedis
let rehearsal: Rehearsal
let house: PodHouse
beforeAll(async () => {
  server = await startRedis()
  rehearsal = await startRehearsal(parseScript(SCRIPT, 'x.yaml'))
  house = await openHouse({
    redisUrl: server.url,
    spec: { allowed_tools: ['Bash'], agent: 'poet', workspace: 'worktree' },
    claude: { file: claudePath(), rehearsal },
  })
})
afterAll(async () => {
  await house.close()
  await rehearsal.stop()
  await server.stop()
})

test('its commit is on its own branch, and the checkout of the user is untouched', async () => {
  const repository = initRepository(house.workspace, {
    'README.md': 'first\n',
    '.claude/agents/poet.md':
      '---\nname: poet\ndescription: Writes\n---\nYou are the poet of the small rivers.\n',
  })
  await house.startPod({ DROVER_STARTUP_TIMEOUT_MS: '60000', DROVER_STALL_TIMEOUT_MS: '60000' })
  const { sessionId } = await house.producer.spawn({
    agentType: 'architect',
    prompt: 'Write a poem.',
    workspaceDir: house.workspace,
  })
  expect(await house.producer.result(sessionId)).toMatchObject({ success: true, output: 'Done.' })
  expect(repository.git('show', `drover/${sessionId}:poem.txt`)).toBe('rivers\n')
  expect(repository.git('log', '--format=%s', 'main')).toBe('First\n')
  expect(repository.git('status', '--porcelain')).toBe('')
  expect(JSON.stringify(rehearsal.requests().map(({ body }) => body))).toContain('poet of the small rivers')
})

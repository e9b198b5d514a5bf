/** `drover agents list|show` */
import { connect, filterOf } from '../connect.ts'
import { wholeNumber } from '../options.ts'
import { typedSessions } from '../session-id.ts'
import { examples, type Register } from '../program.ts'

/** Declares `drover agents`. */
export const registerAgents: Register = (program, context) => {
  const agents = program.command('agents').description('Shows the processes of sessions.')

  agents
    .command('list')
    .description('Lists agents, newest first.')
    .option('--status <state>', 'only those in this state, or in these: spawned,running')
    .option('--agent-type <type>', 'only those of this agent type')
    .option('--task-id <id>', 'only those of this task')
    .option('--session-id <id>', 'only those of this session')
    .option('--pod-id <id>', 'only those on this pod')
    .option('--since <time>', 'only those spawned since, such as 2026-01-31T08:00:00Z')
    .option('--until <time>', 'only those spawned until then')
    .option('--q <text>', 'only those with this text in an id, the type or the pod')
    .option('--limit <n>', 'at most so many, up to 200', wholeNumber)
    .option('--cursor <cursor>', 'go on where the page before ended')
    .addHelpText(
      'after',
      examples('drover agents list --status running', 'drover agents list --status killed,stalled --json'),
    )
    .action(async (options) => {
      const client = await connect(context)
      const [{ agentsPage }, page] = await Promise.all([
        import('../show-agents.ts'),
        client.agents(filterOf(await typedSessions(client, options))),
      ])
      await context.output.answer(page, () => agentsPage(page, context.output, new Date()))
    })

  agents
    .command('show')
    .description('Shows one agent: its process, its pod, how it ended.')
    .argument('<agent_id>', 'id of the agent')
    .addHelpText('after', examples('drover agents show architect-20260131-001'))
    .action(async (agentId) => {
      const client = await connect(context)
      const [{ agentText }, document] = await Promise.all([
        import('../show-agents.ts'),
        client.agent(agentId),
      ])
      await context.output.answer(document, () => agentText(document.agent, context.output))
    })
}

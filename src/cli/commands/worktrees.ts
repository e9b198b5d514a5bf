/** `drover worktrees list|diff|merge|clean` */
import { connect } from '../connect.ts'
import { typedSessionOrTask } from '../session-id.ts'
import { examples, type Register } from '../program.ts'

/** Declares `drover worktrees`. */
export const registerWorktrees: Register = (program, context) => {
  const worktrees = program
    .command('worktrees')
    .description('What sessions have left in git worktrees of their own (--worktree).')

  worktrees
    .command('list')
    .description('Lists worktrees: whose, where, and what is in them.')
    .addHelpText('after', examples('drover worktrees list', 'drover worktrees list --json'))
    .action(async () => {
      const client = await connect(context)
      const [{ worktreesTable }, answer] = await Promise.all([
        import('../show-worktrees.ts'),
        client.worktrees(),
      ])
      await context.output.answer(answer, () => worktreesTable(answer.worktrees, context.output))
    })

  worktrees
    .command('diff')
    .description('Shows what a worktree has changed since it began, new files included.')
    .argument('<id>', 'id of the session, or of the task')
    .addHelpText(
      'after',
      examples('drover worktrees diff TASK-31-1', 'drover worktrees diff TASK-31-1 > work.patch'),
    )
    .action(async (typed) => {
      const client = await connect(context)
      const id = await typedSessionOrTask(client, typed)
      const { output } = context
      const [{ shownText }, answer] = await Promise.all([import('../safe-text.ts'), client.worktreeDiff(id)])
      if (answer.cut) output.note('The diff is longer than 16 MB: the rest is missing.')
      if (answer.diff === '') output.note('Nothing is changed.')
      // As it is for a file or for git apply.
      if (output.json) await output.answer(answer, () => '')
      else await output.raw(shownText(answer.diff, output.isTerminal))
    })

  worktrees
    .command('merge')
    .description(
      'Merges a worktree into the branch that it began from. A conflict is told, and changes nothing.',
    )
    .argument('<id>', 'id of the session, or of the task')
    .addHelpText('after', examples('drover worktrees merge TASK-31-1'))
    .action(async (typed) => {
      const client = await connect(context)
      const id = await typedSessionOrTask(client, typed)
      const [{ mergedText }, answer] = await Promise.all([
        import('../show-worktrees.ts'),
        client.mergeWorktree(id),
      ])
      await context.output.answer(answer, () => mergedText(answer))
    })

  worktrees
    .command('clean')
    .description('Removes worktrees of ended sessions that have no work in them, with their branches.')
    .argument('[id]', 'only the one of this session or task')
    .option('--force', 'with an id: also where there is work in it, which is lost')
    .addHelpText('after', examples('drover worktrees clean', 'drover worktrees clean TASK-31-1 --force'))
    .action(async (typed, { force }) => {
      const client = await connect(context)
      const id = typed === undefined ? undefined : await typedSessionOrTask(client, typed)
      const [{ cleanedText }, answer] = await Promise.all([
        import('../show-worktrees.ts'),
        client.cleanWorktrees({ id, force }),
      ])
      await context.output.answer(answer, () => cleanedText(answer))
    })
}

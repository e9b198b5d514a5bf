/** `drover cost` */
import { Option } from '@commander-js/extra-typings'
import { COST_BY } from '../../core/request.ts'
import { connect } from '../connect.ts'
import { wholeNumber } from '../options.ts'
import { examples, type Register } from '../program.ts'

/** Declares `drover cost`. */
export const registerCost: Register = (program, context) => {
  program
    .command('cost')
    .description(
      'Shows what was spent: tokens and dollars, by agent type, day, task, session, tree or model.',
    )
    .addOption(new Option('--by <what>', 'one row for each').choices(COST_BY).default('agent_type' as const))
    .option('--since <time>', 'only sessions that started since, such as 2026-01-31T08:00:00Z')
    .option('--limit <n>', 'at most so many rows (1000), up to 10000; the total has them all', wholeNumber)
    .option('--cursor <cursor>', 'go on where the page before ended')
    .addHelpText(
      'after',
      examples(
        'drover cost',
        'drover cost --by day --since 2026-01-01',
        'drover cost --by tree --limit 10',
        'drover cost --by model --json',
      ),
    )
    .action(async (options) => {
      const client = await connect(context)
      const [{ costText }, report] = await Promise.all([import('../show-cost.ts'), client.cost(options)])
      await context.output.answer(report, () => costText(report, context.output))
    })
}

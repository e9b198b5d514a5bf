/** `drover config print`: every setting, and where its value came from. */
import { examples, type Register } from '../program.ts'

/** Declares `drover config`. */
export const registerConfig: Register = (program, context) => {
  const config = program.command('config').description('Shows the configuration.')

  config
    .command('print')
    .description('Prints every setting with its value and where that came from; secrets are masked.')
    .addHelpText('after', examples('drover config print', 'DROVER_PORT=8080 drover config print --json'))
    .action(async () => {
      const [loaded, { configRows }, { table }, { visible }] = await Promise.all([
        context.config(),
        import('../../config/load.ts'),
        import('../table.ts'),
        import('../safe-text.ts'),
      ])
      const settings = configRows(loaded)
      await context.output.answer({ success: true, settings }, () =>
        table(
          ['setting', 'value', 'from', 'environment'],
          settings.map(({ key, value, source, env }) => [key, visible(shown(value)), visible(source), env]),
          context.output,
        ),
      )
    })
}

function shown(value: unknown): string {
  if (value === null) return '–'
  if (Array.isArray(value)) return value.join(', ')
  return typeof value === 'string' ? value : JSON.stringify(value)
}

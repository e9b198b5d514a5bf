/** `drover migrate`: brings the ledger to this version's schema. */
import { join } from 'node:path'
import { examples, type Register } from '../program.ts'

/** Declares `drover migrate`. */
export const registerMigrate: Register = (program, context) => {
  program
    .command('migrate')
    .description(
      'Makes the ledger of the data directory, or brings it to the newest schema. Repeating it is safe.',
    )
    .addHelpText('after', examples('drover migrate', 'drover migrate --data-dir /srv/drover'))
    .action(async () => {
      const [{ config }, { openLedger }, { newestVersion }] = await Promise.all([
        context.config(),
        import('../../ledger/open.ts'),
        import('../../ledger/migrate.ts'),
      ])
      const file = join(config.dataDir, 'orchestrator.db')
      const ledger = openLedger(file)
      ledger.close()
      const { applied, linked } = ledger
      const to = newestVersion()
      const [first] = applied
      const from = first === undefined ? to : Number(first.slice(0, 4)) - 1
      await context.output.answer({ success: true, ledger: file, from, to, applied }, () =>
        applied.length === 0
          ? `${file} has schema ${to} already.`
          : `${file}: schema ${from} → ${to} (${applied.join(', ')})`,
      )
      if (!linked) {
        context.output.note(
          `${join(config.dataDir, 'claude_invocations.db')} is a file of its own, so the link of that name was not made.`,
        )
      }
    })
}

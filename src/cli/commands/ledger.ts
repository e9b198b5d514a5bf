/** `drover ledger backup|restore|check|compact|rebuild`: the life of the ledger's file. */
import { statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Command } from '@commander-js/extra-typings'
import { DroverError, EXIT } from '../../core/errors.ts'
import { examples, type CliContext, type Register } from '../program.ts'

type Subcommand = (ledger: Command<[], any, any>, context: CliContext) => void

/** Declares `drover ledger`. */
export const registerLedger: Register = (program, context) => {
  const ledger = program
    .command('ledger')
    .description('Looks after the file with everything that happened: copies, space, repair.')
  for (const register of [registerBackup, registerRestore, registerCheck, registerCompact, registerRebuild])
    register(ledger, context)
}

const registerBackup: Subcommand = (ledger, context) => {
  ledger
    .command('backup')
    .description('Copies the ledger while it is in use, and checks the copy.')
    .argument('[file]', 'where to; without it a file in the directory "backups" beside the ledger')
    .option('--force', 'replace a file that is there')
    .addHelpText(
      'after',
      examples('drover ledger backup', 'drover ledger backup /mnt/backup/orchestrator.db --force'),
    )
    .action(async (file, options) => {
      const [{ path }, { backup }, { backupText }] = await Promise.all([
        presentLedger(context),
        import('../../ledger/backup.ts'),
        import('../show-ledger.ts'),
      ])
      const made = backup(path, {
        file: file === undefined ? undefined : resolve(context.cwd, file),
        force: options.force === true,
      })
      await context.output.answer(documentOf({ ledger: path, ...made }), () => backupText(path, made))
    })
}

const registerRestore: Subcommand = (ledger, context) => {
  ledger
    .command('restore')
    .description(
      'Puts a backup in the place of the ledger, whose files are moved aside; the next start records again what the ' +
        'event stream still holds.',
    )
    .argument('<file>', 'the backup')
    .addHelpText('after', examples('drover ledger restore data/backups/orchestrator-20261121T021500Z.db'))
    .action(async (file) => {
      const [{ config, path }, { restore }, { keysOf }, { restoreText }] = await Promise.all([
        configuredLedger(context),
        import('../../ledger/restore.ts'),
        import('../../queue/keys.ts'),
        import('../show-ledger.ts'),
      ])
      const done = restore({
        path,
        from: resolve(context.cwd, file),
        streamKey: keysOf(config.namespace).events,
      })
      await context.output.answer(documentOf(done), () => restoreText(done))
    })
}

const registerCheck: Subcommand = (ledger, context) => {
  ledger
    .command('check')
    .description(
      'Checks the file, the totals in it, and the lines of every agent against the digests that were recorded with ' +
        'them. Changes nothing; 1 when something is wrong.',
    )
    .argument('[file]', 'a backup, instead of the ledger')
    .addHelpText(
      'after',
      examples(
        'drover ledger check',
        'drover ledger check data/backups/orchestrator-20261121T021500Z.db --json',
      ),
    )
    .action(async (file) => {
      const [path, { checkFile }, { checkLines }, { checkText }] = await Promise.all([
        file === undefined
          ? presentLedger(context).then((found) => found.path)
          : presentFile(resolve(context.cwd, file), 'Name a backup, or nothing for the ledger.'),
        import('../../ledger/check.ts'),
        import('../../ledger/check-lines.ts'),
        import('../show-ledger.ts'),
      ])
      const { output } = context
      const found = checkFile(path)
      const isSound = found.damage.length === 0
      const lines = isSound
        ? await checkLines(path, (share) => output.status(`checking lines: ${Math.floor(100 * share)} %`))
        : null
      const success = isSound && found.totals.length === 0 && (lines?.changed.length ?? 0) === 0
      await output.answer({ ...documentOf({ ledger: path, ...found, lines }), success }, () =>
        checkText(path, found, lines),
      )
      if (!success) context.setExitCode(EXIT.failed)
    })
}

const registerCompact: Subcommand = (ledger, context) => {
  ledger
    .command('compact')
    .description(
      'Applies the retention that is configured, and gives the space of what was deleted back to the disk.',
    )
    .addHelpText(
      'after',
      examples('drover ledger compact', 'DROVER_LEDGER_RETENTION_DAYS=90 drover ledger compact'),
    )
    .action(async () => {
      const [{ config, path }, { compact }, { compactText }] = await Promise.all([
        presentLedger(context),
        import('../../ledger/compact.ts'),
        import('../show-ledger.ts'),
      ])
      const { retentionDays, maxSizeMb } = config.ledger
      const done = await compact(path, { retentionDays, maxSizeMb })
      await context.output.answer(documentOf({ ledger: path, ...done }), () => compactText(path, done))
    })
}

const registerRebuild: Subcommand = (ledger, context) => {
  ledger
    .command('rebuild')
    .description('Makes sessions, agents, tasks and costs anew from the recorded events.')
    .addHelpText('after', examples('drover ledger rebuild', 'drover ledger rebuild --json'))
    .action(async () => {
      const [{ path }, { rebuild }, { rebuildText }] = await Promise.all([
        presentLedger(context),
        import('../../recorder/rebuild.ts'),
        import('../show-ledger.ts'),
      ])
      const done = rebuild(path)
      await context.output.answer(documentOf(done), () => rebuildText(done))
    })
}

async function configuredLedger(context: CliContext) {
  const { config } = await context.config()
  return { config, path: join(config.dataDir, 'orchestrator.db') }
}

/** These commands make no ledger where none is. */
async function presentLedger(context: CliContext) {
  const found = await configuredLedger(context)
  await presentFile(found.path, 'Name its directory with --data-dir or DROVER_DATA_DIR.')
  return found
}

async function presentFile(path: string, advice: string): Promise<string> {
  const { aboutFile } = await import('../../ledger/database.ts')
  if (aboutFile(path, () => statSync(path, { throwIfNoEntry: false })) !== undefined) return path
  throw new DroverError('ledger_unavailable', `There is no ledger ${path}. ${advice}`, { file: path })
}

/** `{"success": true, …}` with the members in snake case. */
function documentOf(result: object): Record<string, unknown> {
  const members = Object.entries(result).map(([name, value]: [string, unknown]) => [
    name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    value,
  ])
  return { success: true, ...Object.fromEntries(members) }
}

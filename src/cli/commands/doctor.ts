/** `drover doctor`: what is here, what is missing, what to do about it. */
import { EXIT } from '../../core/errors.ts'
import type { Check } from '../doctor/check.ts'
import type { Output } from '../output.ts'
import { examples, type CliContext, type Register } from '../program.ts'
import { visibleLines } from '../safe-text.ts'

/** Declares `drover doctor`. */
export const registerDoctor: Register = (program, context) => {
  program
    .command('doctor')
    .description('Checks what Drover needs, and says what to do. Changes nothing; 1 when something fails.')
    .addHelpText('after', examples('drover doctor', 'drover doctor --json'))
    .action(async () => {
      const checks = await runChecks(context)
      const success = checks.every(({ status }) => status !== 'fail')
      await context.output.answer({ success, checks }, () => report(checks, context.output))
      if (!success) context.setExitCode(EXIT.failed)
    })
}

async function runChecks(context: CliContext): Promise<readonly Check[]> {
  const [machine, redis, drover, { freeMemoryMb }, { tryTiers }, { config }] = await Promise.all([
    import('../doctor/machine.ts'),
    import('../doctor/redis.ts'),
    import('../doctor/drover.ts'),
    import('../../worker/free.ts'),
    import('../../guard/try-tiers.ts'),
    context.config(),
  ])
  const searchPath = context.env['PATH'] ?? ''
  const claude = await machine.checkClaude(config, context.env)
  return [
    machine.checkNode(),
    await machine.checkGit(searchPath),
    claude.check,
    await machine.checkCredentials(claude.path, context.env),
    machine.tierCheck(await tryTiers(), config.guard.requireTier),
    ...(await redis.checkRedis(config, searchPath)),
    drover.checkLedger(config.dataDir),
    await machine.checkDisk(config.dataDir),
    machine.checkMemory(config, await freeMemoryMb()),
    drover.checkSpecs(config, context.cwd),
    await drover.checkPort(config),
  ]
}

function report(checks: readonly Check[], { colors }: Output): string {
  const mark = { ok: colors.green('ok  '), warn: colors.yellow('warn'), fail: colors.red('fail') }
  const longest = Math.max(...checks.map(({ name }) => name.length))
  return checks
    .flatMap(({ name, status, value, fix }) => {
      const [first = '', ...more] = visibleLines(value)
      const indent = ' '.repeat(longest + 8)
      return [
        `${mark[status]}  ${name.padEnd(longest)}  ${first}`,
        ...more.map((line) => `${indent}${line}`),
        ...(fix === null ? [] : [`${indent}${colors.dim(`→ ${fix}`)}`]),
      ]
    })
    .join('\n')
}

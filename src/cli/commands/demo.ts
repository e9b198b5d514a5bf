/** `drover demo`: two real sessions through everything, from nothing. */
import { EXIT, invalidRequest } from '../../core/errors.ts'
import { scriptName } from '../stack/rehearse.ts'
import { examples, type Register } from '../program.ts'

export const registerDemo: Register = (program, context) => {
  program
    .command('demo')
    .description(
      'Runs two real sessions through everything: an architect writes a spec, a developer implements it.',
    )
    .option('--rehearse [script]', 'the scripted model to use (the default, script "demo")')
    .option('--live', 'use the real model; it costs some cents')
    .option('--keep', 'leave everything running')
    .addHelpText(
      'after',
      examples(
        'drover demo',
        'drover demo --keep      # then look at the board',
        'drover demo --live --json',
      ),
    )
    .action(async (options) => {
      const [{ playDemo }, { showDemo }] = await Promise.all([
        import('../demo/play.ts'),
        import('../demo/show.ts'),
      ])
      const script = options.live === true ? null : scriptName(options.rehearse ?? true, 'demo')
      if (options.live === true && options.rehearse !== undefined) {
        throw invalidRequest([
          { path: '--live', message: 'excludes --rehearse: one is the real model, the other is not' },
        ])
      }
      const stop = context.takeSignals()
      try {
        const document = await playDemo(context, { script, keep: options.keep === true, stop })
        await context.output.answer(document, () => showDemo(document, context.output))
        context.setExitCode(document.success ? EXIT.ok : EXIT.failed)
      } catch (error) {
        if (!stop.aborted) throw error
        context.setExitCode(EXIT.interrupted)
      }
    })
}

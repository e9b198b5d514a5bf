/** `drover run`: one session from nothing to its result. */
import { resolve } from 'node:path'
import { EXIT } from '../../core/errors.ts'
import { wholeNumber } from '../options.ts'
import { examples, type Register } from '../program.ts'
import { REHEARSE_OPTION, scriptName } from '../stack/rehearse.ts'

export const registerRun: Register = (program, context) => {
  program
    .command('run')
    .description(
      'Runs one session from nothing to its result: starts what is missing, stops what it started.',
    )
    .argument('<agent_type>', 'agent type, such as architect')
    .argument('[prompt...]', 'what to do; "-" reads it from standard input')
    .option('--prompt-file <file>', 'read the prompt from a file')
    .option('--workspace <dir>', 'directory that the agent works in', '.')
    .option('--worktree', 'in a git worktree of its own, on branch drover/<session id>')
    .option('--no-worktree', 'in the directory itself, whatever the agent type says')
    .option('--timeout <seconds>', 'bounds the session as a whole, restarts included', wholeNumber)
    .option('--no-auto-restart', 'do not go on after a crash')
    .option(...REHEARSE_OPTION)
    .addHelpText(
      'after',
      examples(
        'drover run architect "Write docs/SPEC.md for a greeting program"',
        'drover run code_reviewer --prompt-file review.md --workspace ../shop --json',
        'drover run architect "Try my prompt" --rehearse',
      ),
    )
    .action(async (agentType, promptWords, options) => {
      const [
        { loadAgentSpecs },
        { findAgentType },
        { spawnBodySchema },
        { makeRequest },
        { readPrompt, checkWorkspaceOption },
        { followSessions },
        { prepareHere },
        { useUp },
      ] = await Promise.all([
        import('../../config/spec-file.ts'),
        import('../../config/agent-spec.ts'),
        import('../../core/request.ts'),
        import('../make-request.ts'),
        import('../prompt.ts'),
        import('../stack/follow.ts'),
        import('../stack/prepare.ts'),
        import('../stack/own-up.ts'),
      ])
      const { output } = context
      const { config } = await context.config()
      // Everything that can be wrong is said before anything is started.
      const workspace = resolve(context.cwd, options.workspace)
      const sources = {
        prompt: () => readPrompt(context, promptWords, options.promptFile),
        workspace_dir: () => checkWorkspaceOption(workspace),
      }
      const body = await makeRequest(spawnBodySchema, sources, (read) => ({
        agent_type: agentType,
        ...read,
        ...(options.autoRestart ? {} : { auto_restart: false }),
        ...(options.worktree === undefined ? {} : { worktree: options.worktree }),
        ...(options.timeout === undefined ? {} : { timeout_seconds: options.timeout }),
      }))
      findAgentType(loadAgentSpecs({ path: config.agentSpecs, cwd: context.cwd }).specs, agentType)
      const rehearsal = scriptName(options.rehearse)
      await prepareHere(context, config, rehearsal)

      const stop = context.takeSignals()
      const up = await useUp({
        config,
        env: context.env,
        cwd: context.cwd,
        folder: 'runs',
        rehearsal,
        workspace,
        keep: false,
        say: output.note,
      })
      try {
        const [answer] = await followSessions({ context, url: up.url, token: up.token, stop }, [body])
        if (answer === undefined) throw new Error('no session was asked for')
        await output.answer(answer, () => answer.output ?? answer.message ?? '')
        context.setExitCode(answer.success ? EXIT.ok : EXIT.failed)
      } catch (error) {
        if (!stop.aborted) throw error
        context.setExitCode(EXIT.interrupted)
      } finally {
        await up.stop(stop.aborted)
        output.note(`recorded in ${up.ledger}`)
      }
    })
}

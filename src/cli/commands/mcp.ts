/** `drover mcp`: the MCP server on standard streams, for a Claude Code that starts it. */
import { connect } from '../connect.ts'
import { examples, type Register } from '../program.ts'

/** Declares `drover mcp`. */
export const registerMcp: Register = (program, context) => {
  program
    .command('mcp')
    .description('Serves the orchestrator tools over MCP on standard input and output; ends with its input.')
    .addHelpText(
      'after',
      examples('claude mcp add orchestrator -- drover mcp', 'drover mcp --url http://board:4680'),
    )
    .action(async () => {
      const { env, output, stdin, version } = context
      const [client, { config }, { serveMcp }] = await Promise.all([
        connect(context, `drover-mcp/${version}`),
        context.config(),
        import('../../mcp/stdio.ts'),
      ])
      await serveMcp({
        stdin,
        stdout: process.stdout,
        client,
        session: env['DROVER_SESSION_ID'] || null,
        tools: toolsOf(env),
        maxResultChars: config.mcp.maxResultChars,
        version,
        stopping: context.takeSignals(),
        onError: (error) =>
          output.note(`drover mcp: ${error instanceof Error ? error.message : String(error)}`),
      })
    })
}

/** An agent has what its spec grants; the board holds it to that, whatever it is shown here. */
function toolsOf(env: Readonly<Record<string, string | undefined>>): readonly string[] | null {
  return env['DROVER_SESSION_ID'] ? (env['DROVER_TOOLS'] ?? '').split(',') : null
}

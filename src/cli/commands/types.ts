/** `drover types list|show|search|validate`: agent types and their specs. */
import { isDroverError } from '../../core/errors.ts'
import { searchTypes } from '../../core/search-types.ts'
import type { AgentSpec } from '../../config/agent-spec.ts'
import type { HttpClient } from '../../producer/http-client.ts'
import { connect } from '../connect.ts'
import { wholeNumber } from '../options.ts'
import { examples, type CliContext, type Register } from '../program.ts'

/** As the board does where nobody says how many. */
const MOST_FOUND = 20

/** Declares `drover types`. */
export const registerTypes: Register = (program, context) => {
  const types = program.command('types').description('Shows and checks agent types.')

  types
    .command('list')
    .description('Lists the agent types that can be asked for.')
    .addHelpText('after', examples('drover types list', 'drover types list --json'))
    .action(async () => {
      const { typesOf, typesTable } = await import('../show-types.ts')
      const document = await boardOrFile(context, {
        board: (client) => client.agentTypes(),
        file: (specs) => ({ success: true as const, agent_types: typesOf(specs), next_cursor: null }),
      })
      await context.output.answer(document, () => typesTable(document.agent_types, context.output))
    })

  types
    .command('show')
    .description('Shows one agent type.')
    .argument('<agent_type>', 'agent type, such as architect')
    .addHelpText('after', examples('drover types show architect'))
    .action(async (name) => {
      const { oneTypeOf, typeText } = await import('../show-types.ts')
      const document = await boardOrFile(context, {
        board: (client) => client.agentType(name),
        file: (specs) => ({ success: true as const, agent_type: oneTypeOf(specs, name) }),
      })
      await context.output.answer(document, () => typeText(document.agent_type, context.output))
    })

  types
    .command('search')
    .description('Finds agent types by words of their names, descriptions and use cases; the best first.')
    .argument('<words...>', 'what the work is about')
    .option('--limit <n>', 'at most so many (20)', wholeNumber)
    .addHelpText('after', examples('drover types search review security', 'drover types search audit --json'))
    .action(async (words, { limit = MOST_FOUND }) => {
      const { typesOf, typesTable } = await import('../show-types.ts')
      const q = words.join(' ')
      const document = await boardOrFile(context, {
        board: (client) => client.findTypes(q, limit),
        file: (specs) => ({
          success: true as const,
          agent_types: searchTypes(typesOf(specs), q).slice(0, limit),
          next_cursor: null,
        }),
      })
      const none = `No agent type has one of these words: ${q}. drover types list shows all of them.`
      await context.output.answer(document, () =>
        document.agent_types.length === 0 ? none : typesTable(document.agent_types, context.output),
      )
    })

  types
    .command('validate')
    .description(
      'Checks a spec file; and the MCP config files that it names; lists all problems with their lines. Needs no board.',
    )
    .argument('[file]', 'spec file (DROVER_AGENT_SPECS, ./agent_specs.json, or the shipped one)')
    .addHelpText('after', examples('drover types validate', 'drover types validate team/agent_specs.json'))
    .action(async (file) => {
      const { validateAgentSpecs } = await import('../../config/spec-file.ts')
      const path = file ?? (await context.config()).config.agentSpecs
      const loaded = validateAgentSpecs({ path, cwd: context.cwd })
      const names = [...loaded.specs.keys()]
      await context.output.answer(
        { success: true, file: loaded.path, agent_types: names },
        () => `${loaded.path} is valid: ${names.join(', ')}`,
      )
    })
}

interface Sources<Board, File> {
  /** What pods and boards have announced. */
  readonly board: (client: HttpClient) => Promise<Board>
  /** What the spec file says: where no board answers. */
  readonly file: (specs: ReadonlyMap<string, AgentSpec>) => File
}

async function boardOrFile<Board, File>(
  context: CliContext,
  { board, file }: Sources<Board, File>,
): Promise<Board | File> {
  const client = await connect(context)
  try {
    return await board(client)
  } catch (error) {
    if (!isDroverError(error) || error.code !== 'board_unavailable') throw error
  }
  const [{ config }, { loadAgentSpecs }] = await Promise.all([
    context.config(),
    import('../../config/spec-file.ts'),
  ])
  const { specs, path } = loadAgentSpecs({ path: config.agentSpecs, cwd: context.cwd })
  const answer = file(specs)
  context.output.note(`Nobody answers at ${client.url}: this is what ${path} says.`)
  return answer
}

/** `drover messages list|show|send|broadcast|inbox|reply|acknowledge` */
import type { MessageFilter } from '../../producer/queries.ts'
import { connect, filterOf } from '../connect.ts'
import { wholeNumber } from '../options.ts'
import { typedSession, typedSessions } from '../session-id.ts'
import { examples, type CliContext, type Program, type Register } from '../program.ts'
import { readPrompt } from '../prompt.ts'

/** Declares `drover messages`. */
export const registerMessages: Register = (program, context) => {
  const messages = program
    .command('messages')
    .description('Mail between agents: it waits for its reader, who acknowledges or answers it.')
  addReading(messages, context)
  addWriting(messages, context)
}

function addReading(messages: ReturnType<Program['command']>, context: CliContext): void {
  messages
    .command('list')
    .description('Lists messages, newest first; within a session its own.')
    .option('--status <state>', 'only those in this state, or in these: waiting,delivered')
    .option('--session-id <id>', 'only those that this session sent, got or read')
    .option('--from-session <id>', 'only those that this session sent')
    .option('--to-session <id>', 'only those for this session')
    .option('--to-agent-type <type>', 'only those for this agent type and its sessions')
    .option('--to-operator', 'only those for the people who run this Drover')
    .option('--thread-id <id>', 'only those of this exchange')
    .option('--since <time>', 'only those sent since, such as 2026-01-31T08:00:00Z')
    .option('--until <time>', 'only those sent until then')
    .option('--limit <n>', 'at most so many, up to 200', wholeNumber)
    .option('--cursor <cursor>', 'go on where the page before ended')
    .addHelpText(
      'after',
      examples(
        'drover messages list --to-agent-type architect --status waiting',
        'drover messages list --thread-id <id> --json',
      ),
    )
    .action(async (options) => {
      const client = await connect(context)
      const filter: MessageFilter = filterOf(await typedSessions(client, options))
      const [{ messagesTable }, page] = await Promise.all([
        import('../show-messages.ts'),
        client.messages(filter),
      ])
      await context.output.answer(page, () => messagesTable(page, context.output, new Date()))
    })

  messages
    .command('show')
    .description('Shows one message with its whole text.')
    .argument('<message_id>', 'id of the message')
    .addHelpText('after', examples('drover messages show <message_id>'))
    .action(async (messageId) => {
      const client = await connect(context)
      const [{ messageText }, document] = await Promise.all([
        import('../show-messages.ts'),
        client.message(messageId),
      ])
      await context.output.answer(document, () => messageText(document.message, context.output))
    })

  messages
    .command('inbox')
    .description(
      'Reads an inbox, unread messages first: within a session its own, else that of the operator.',
    )
    .option('--limit <n>', 'at most so many, up to 100', wholeNumber)
    .addHelpText('after', examples('drover messages inbox', 'drover messages inbox --limit 1 --json'))
    .action(async ({ limit }) => {
      const client = await connect(context)
      const [{ inboxText }, answer] = await Promise.all([import('../show-messages.ts'), client.inbox(limit)])
      await context.output.answer(answer, () => inboxText(answer, context.output))
    })

  messages
    .command('acknowledge')
    .description('Takes a message out of its inbox.')
    .argument('<message_id>', 'id of the message')
    .addHelpText('after', examples('drover messages acknowledge <message_id>'))
    .action(async (messageId) => {
      const client = await connect(context)
      const answer = await client.acknowledge(messageId)
      await context.output.answer(answer, () =>
        answer.repeated ? 'It was taken before; nothing has changed.' : 'Taken.',
      )
    })
}

function addWriting(messages: ReturnType<Program['command']>, context: CliContext): void {
  messages
    .command('send')
    .description('Sends a message; within a session as that session.')
    .argument('<to>', 'a session id, an agent type (its next session reads it), "parent" or "operator"')
    .argument('<text...>', 'the message; "-" reads it from standard input')
    .addHelpText(
      'after',
      examples(
        'drover messages send code_developer "The API changed: see docs/api.md"',
        'drover messages send parent - < findings.md',
      ),
    )
    .action(async (to, words) => {
      const client = await connect(context)
      const text = await readPrompt(context, words, undefined, 'message')
      const [{ sentText }, answer] = await Promise.all([
        import('../show-messages.ts'),
        client.sendMessage({ to: await typedSession(client, to), text }),
      ])
      await context.output.answer(answer, () => sentText(answer))
    })

  messages
    .command('broadcast')
    .description('Sends a message to each session that has an agent.')
    .argument('<text...>', 'the message; "-" reads it from standard input')
    .option('--agent-type <type>', 'only to sessions of this agent type')
    .addHelpText('after', examples('drover messages broadcast "The main branch is frozen until 14:00"'))
    .action(async (words, { agentType }) => {
      const client = await connect(context)
      const text = await readPrompt(context, words, undefined, 'message')
      const [{ broadcastText }, answer] = await Promise.all([
        import('../show-messages.ts'),
        client.broadcast({ text, agent_type: agentType }),
      ])
      await context.output.answer(answer, () => broadcastText(answer))
    })

  messages
    .command('reply')
    .description('Answers a message, which takes it out of its inbox.')
    .argument('<message_id>', 'id of the message that is answered')
    .argument('<text...>', 'the answer; "-" reads it from standard input')
    .addHelpText('after', examples('drover messages reply <message_id> "Done: see docs/api.md"'))
    .action(async (messageId, words) => {
      const client = await connect(context)
      const text = await readPrompt(context, words, undefined, 'message')
      const [{ sentText }, answer] = await Promise.all([
        import('../show-messages.ts'),
        client.reply(messageId, { text }),
      ])
      await context.output.answer(answer, () => sentText(answer))
    })
}

/** The options that Drover gives to the CLI; any other one is refused, as the real one does. */

const VALUES = new Set([
  '--input-format',
  '--output-format',
  '--session-id',
  '--resume',
  '--model',
  '--fallback-model',
  '--permission-mode',
  '--permission-prompt-tool',
  '--allowedTools',
  '--disallowedTools',
  '--append-system-prompt',
  '--append-system-prompt-file',
  '--agent',
  '--agents',
  '--setting-sources',
  '--mcp-config',
  '--max-turns',
  '--max-budget-usd',
])
const FLAGS = new Set(['-p', '--print', '--verbose', '--strict-mcp-config', '--fork-session', '--version'])

export function readCommandLine(argv) {
  const values = new Map()
  for (let at = 0; at < argv.length; at++) {
    const [name, inline] = split(argv[at])
    if (FLAGS.has(name)) values.set(name, true)
    else if (VALUES.has(name)) values.set(name, inline ?? argv[++at])
    else fail(name.startsWith('-') ? `error: unknown option '${name}'` : `unexpected argument ${name}`)
  }
  if (values.has('--version')) {
    process.stdout.write('2.1.329 (Claude Code)\n')
    process.exit(0)
  }
  if (values.get('--output-format') === 'stream-json' && !values.has('--verbose')) {
    fail('Error: When using --print, --output-format=stream-json requires --verbose')
  }
  const resume = values.get('--resume')
  const forked = values.has('--fork-session')
  if (resume !== undefined && values.has('--session-id') && !forked) {
    fail('Error: --session-id with --continue or --resume needs --fork-session')
  }
  return {
    sessionId: values.get('--session-id') ?? resume,
    resume,
    forked,
    model: values.get('--model'),
    asks: values.get('--permission-prompt-tool') === 'stdio',
  }
}

function split(argument) {
  const equals = argument.indexOf('=')
  return argument.startsWith('--') && equals > 0
    ? [argument.slice(0, equals), argument.slice(equals + 1)]
    : [argument, undefined]
}

function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}

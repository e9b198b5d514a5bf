/** The script: found in a prompt, completed with defaults. `fake-claude.ts` says what the members mean. */

const DEFAULTS = {
  lines: 1,
  until_file: '',
  stamped: false,
  text: 'done',
  delay_init_ms: 0,
  delay_ms: 0,
  silence_ms: 0,
  cost_usd: 0.001,
  usage: { input_tokens: 100, output_tokens: 20 },
  result: 'success',
  api_error_status: 400,
  exit_code: null,
  exit_after_result: false,
  hang_after_result: false,
  ignore_term: false,
  stop_self: false,
  daemons: [],
  daemon_dir: '.',
  hold_stdout: false,
  half_line: false,
  invalid_utf8: false,
  huge_line_bytes: 0,
  raw_lines: [],
  stderr_text: '',
  stdout_file: '',
  stderr_file: '',
  ask: [],
  no_lifecycle: false,
  crash_on_attempts: [],
  crash_signal: 'SIGKILL',
  write_files: {},
  mcp_servers: [],
}

/** A member that is misspelt would test nothing: it ends the process. */
export function mergeScript(script) {
  const unknown = Object.keys(script).filter((name) => !(name in DEFAULTS))
  if (unknown.length > 0) {
    process.stderr.write(`fake-claude: unknown script members: ${unknown.join(', ')}\n`)
    process.exit(64)
  }
  return { ...DEFAULTS, ...script }
}

/** The object behind the first `{"fake":` of the prompt, or null. */
export function findScript(prompt) {
  const start = prompt.search(/\{\s*"fake"\s*:/)
  if (start < 0) return null
  for (let end = prompt.indexOf('}', start); end >= 0; end = prompt.indexOf('}', end + 1)) {
    try {
      return JSON.parse(prompt.slice(start, end + 1)).fake
    } catch {
      // Not its closing brace yet.
    }
  }
  process.stderr.write('fake-claude: the script in the prompt is no JSON\n')
  return process.exit(64)
}

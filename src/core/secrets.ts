/** Which values are secrets: of variables, addresses, headers and argument lists, by their names. */
import type { Secret } from './redact.ts'
import { AGENT_STATES, FAILURE_REASONS, SESSION_STATES, TASK_STATES } from './state.ts'

/** Names by which Drover's own and other programs' secrets are known. */
const SECRET_NAME =
  /(?:^|[_.-])(?:[a-z0-9]*(?:key|token|secret|passw(?:or)?d|passphrase|credentials?|apikey)|pass|pw|pwd|pat|auth|authorization|cookie|dsn)(?:$|[_.-])/i
/** They name where a secret is, or how many tokens there may be. */
const NO_SECRET =
  /(?:_FILE|_PATH|_DIR|_SOCK|_COMMAND|_TOKENS|_TTL|_MS|_ID)$|^(?:PWD|OLDPWD|GOOGLE_APPLICATION_CREDENTIALS)$/i
/** Words of Drover's own: taken out of its events they would change what these say. */
const OWN_WORDS: ReadonlySet<string> = new Set<string>([
  ...SESSION_STATES,
  ...AGENT_STATES,
  ...TASK_STATES,
  ...FAILURE_REASONS,
  'assistant',
  'true',
  'false',
])
/** `${GITHUB_TOKEN}`: a name, to be replaced by whoever reads it. */
const REFERENCE = /^\$\{?\w+(?::-[^}]*)?\}?$/

/** Whether a name is one of a secret. */
export type NameRule = (name: string) => boolean

/**
 * The rule with additions of the configuration: `DB_DSN` and `CORP_*` (`*` stands for any letters) are secrets too,
 * `!SORT_KEY` is none.
 */
export function nameRule(more: readonly string[] = []): NameRule {
  const never = more.filter((glob) => glob.startsWith('!')).map((glob) => globOf(glob.slice(1)))
  const always = more.filter((glob) => !glob.startsWith('!')).map(globOf)
  return (name) => {
    if (never.some((glob) => glob.test(name))) return false
    return always.some((glob) => glob.test(name)) || (SECRET_NAME.test(name) && !NO_SECRET.test(name))
  }
}

function globOf(glob: string): RegExp {
  return new RegExp(`^${glob.replaceAll('*', '[A-Za-z0-9_]*')}$`, 'i')
}

/** The secrets among variables: those with a secret's name, passwords within addresses, secret headers. */
export function secretsOfVariables(
  variables: Readonly<Record<string, string | undefined>>,
  isSecret: NameRule,
): Secret[] {
  return Object.entries(variables).flatMap(([name, value]) => {
    if (value === undefined) return []
    if (name.endsWith('HEADERS')) return secretsOfHeaderLines(name, value, isSecret)
    const address = secretsOfAddress(name, value, isSecret)
    return isSecret(name) && address.length === 0 ? telling(name, value) : address
  })
}

/** What an address has of secrets: the password, and parameters with a secret's name. Nothing for other text. */
export function secretsOfAddress(name: string, address: string, isSecret: NameRule): Secret[] {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? URL.parse(address) : null
  if (url === null) return []
  // A name without a password may be a token that was put in its place.
  const userinfo = url.password || (url.username !== '' && url.username.length >= 20 ? url.username : '')
  const parameters = [...url.searchParams].filter(([parameter]) => isSecret(parameter))
  return [userinfo, decoded(userinfo), ...parameters.map(([, value]) => value)].flatMap((value) =>
    telling(name, value),
  )
}

/** Headers by name, as an MCP config has them. */
export function secretsOfHeaders(headers: Readonly<Record<string, unknown>>, isSecret: NameRule): Secret[] {
  return Object.entries(headers).flatMap(([name, value]) =>
    typeof value === 'string' && isSecret(name) ? telling(name, withoutScheme(value)) : [],
  )
}

/** Arguments such as `--token=…`, `--api-key …`, and addresses. */
export function secretsOfArguments(args: readonly unknown[], isSecret: NameRule): Secret[] {
  return args.flatMap((arg, index) => {
    if (typeof arg !== 'string') return []
    const [, option, value] = /^--?([A-Za-z][\w-]*)(?:=(.*))?$/s.exec(arg) ?? []
    if (option === undefined) return secretsOfAddress('argument', arg, isSecret)
    const next = args[index + 1]
    const given = value ?? (typeof next === 'string' && !next.startsWith('-') ? next : '')
    return isSecret(option.replaceAll('-', '_')) ? telling(option, given) : []
  })
}

/** `Name: value`, one to a line, as `ANTHROPIC_CUSTOM_HEADERS` has them. */
function secretsOfHeaderLines(variable: string, text: string, isSecret: NameRule): Secret[] {
  return text.split(/\r?\n/).flatMap((line) => {
    const [, header = '', value = ''] = /^\s*([^:\s]+)\s*:(.*)$/.exec(line) ?? []
    return isSecret(header) ? telling(variable, withoutScheme(value)) : []
  })
}

/** Of `Bearer abc` the secret is `abc`, with or without its word. */
function withoutScheme(value: string): string {
  return value.trim().replace(/^(?:Bearer|Basic|Token|Digest)\s+/i, '')
}

function telling(name: string, value: string): Secret[] {
  const trimmed = value.trim()
  return trimmed === '' || OWN_WORDS.has(trimmed) || REFERENCE.test(trimmed) ? [] : [{ name, value: trimmed }]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return ''
  }
}

/** Secrets that are known by how they look: the patterns that come with Drover, and what a pattern may be. */

/** What is replaced by `[redacted:<name>]`. */
export interface Pattern {
  readonly name: string
  /** A regular expression (checked by `patternProblem` where it is not one of ours). */
  readonly source: string
}

/** A pattern of ours also knows how it begins, for text that comes in pieces. */
export interface KnownPattern extends Pattern {
  /** Takes the rest of a text that may be the beginning of such a secret. */
  readonly open: string
  /** Finds it in JSON text as it is, with escapes, at the price of finding more. @default `source` without `\b` */
  readonly hint?: string
  /** Of three or four characters: one of them is in every text with such a secret; see `redact-filter.ts`. */
  readonly grams: readonly string[]
}

/** Those without a `hint` take no character that JSON escapes. */
export const KNOWN_PATTERNS: readonly KnownPattern[] = [
  {
    name: 'drover_token',
    grams: ['ver_'],
    source: String.raw`\bdrover_(?:token|session_[0-9a-f-]{36})_[\w-]{43}`,
    open: String.raw`\bdrover_(?:token_[\w-]{0,43}|session_[0-9a-f-]{0,36}(?:_[\w-]{0,43})?)$`,
  },
  {
    name: 'anthropic_key',
    grams: ['sk-a'],
    source: String.raw`\bsk-ant-[\w-]{16,512}`,
    open: String.raw`\bsk-ant-[\w-]{0,512}$`,
  },
  {
    name: 'github_token',
    grams: ['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_', 'b_pa'],
    source: String.raw`\b(?:gh[pousr]_\w{30,255}|github_pat_\w{30,255})`,
    open: String.raw`\b(?:gh[pousr]_|github_pat_)\w{0,255}$`,
  },
  {
    name: 'gitlab_token',
    grams: ['glpa'],
    source: String.raw`\bglpat-[\w-]{20,255}`,
    open: String.raw`\bglpat-[\w-]{0,255}$`,
  },
  { name: 'npm_token', grams: ['npm_'], source: String.raw`\bnpm_\w{36}`, open: String.raw`\bnpm_\w{0,35}$` },
  {
    name: 'slack_token',
    grams: ['xoxa', 'xoxb', 'xoxe', 'xoxo', 'xoxp', 'xoxr', 'xoxs'],
    source: String.raw`\bxox[abeoprs]-[\w-]{10,255}`,
    open: String.raw`\bxox[abeoprs]-[\w-]{0,255}$`,
  },
  {
    name: 'aws_key_id',
    grams: ['AKIA', 'ASIA'],
    source: String.raw`\b(?:AKIA|ASIA)[A-Z0-9]{16}\b`,
    open: String.raw`\b(?:AKIA|ASIA)[A-Z0-9]{0,16}$`,
  },
  {
    name: 'google_key',
    grams: ['AIza'],
    source: String.raw`\bAIza[\w-]{35}`,
    open: String.raw`\bAIza[\w-]{0,34}$`,
  },
  {
    name: 'openai_key',
    grams: ['sk-p', 'sk-s'],
    source: String.raw`\bsk-(?:proj|svcacct)-[\w-]{20,512}`,
    open: String.raw`\bsk-(?:proj|svcacct)-[\w-]{0,512}$`,
  },
  {
    name: 'jwt',
    grams: ['.eyJ'],
    source: String.raw`\beyJ[\w-]{10,4096}\.eyJ[\w-]{10,4096}\.[\w-]{10,1024}`,
    open: String.raw`\beyJ[\w-]{10,4096}(?:\.[\w-]{0,4096}){0,2}$`,
  },
  {
    name: 'bearer',
    grams: ['arer'],
    source: String.raw`\b[Bb]earer [\w.~+/-]{20,4096}=*`,
    open: String.raw`\b[Bb]earer(?: [\w.~+/=-]{0,4096})?$`,
  },
  {
    name: 'url_password',
    grams: ['://'],
    source: String.raw`\b[a-z][a-z0-9+.-]{1,20}:\/\/[\w.~%+-]{0,128}:[\w.~%+!$*-]{3,256}@`,
    hint: String.raw`:\/\/[\w.~%+-]{0,128}:[\w.~%+!$*-]{3,256}@`,
    open: String.raw`\b[a-z][a-z0-9+.-]{1,20}:\/\/[\w.~%+-]{0,128}(?::[\w.~%+!$*-]{0,256})?$`,
  },
  {
    name: 'private_key',
    grams: ['-BEG'],
    source: String.raw`-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----)[^]){1,16384}(?:-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----|$)`,
    hint: String.raw`-----BEGIN [A-Z ]{0,40}PRIVATE KEY`,
    open: String.raw`-----BEGIN [A-Z ]{0,60}(?:-----(?:(?!-----)[^]){0,16384}(?:-----END[A-Z -]{0,60})?)?$`,
  },
]

/** The form in which patterns are configured, `name=expression`. */
const WRITTEN = /^([A-Za-z][\w.-]{0,63})=(.+)$/s

/** A configured pattern; to be asked `writtenProblem` first. */
export function parsePattern(written: string): Pattern {
  const [, name = 'pattern', source = written] = WRITTEN.exec(written) ?? []
  return { name, source }
}

/** What is wrong with a configured pattern, by name; null for nothing. */
export function writtenProblem(written: string): string | null {
  if (!WRITTEN.test(written)) return `"${written.slice(0, 100)}" is not written as name=expression`
  const { name, source } = parsePattern(written)
  const problem = patternProblem(source)
  return problem === null ? null : `the pattern "${name}" ${problem}`
}

/** Characters that `*`, `+` and `{n,}` of a configured pattern take at most. */
export const LONGEST_REPEAT = 512
const LONGEST_PATTERN = 500
const LONGEST_COUNT = 4096

/**
 * What is wrong with a configured pattern; null for nothing. Every pattern runs over everything that an agent prints,
 * and an agent prints what it likes: so only what takes a time in proportion to the text is allowed. That is a row of
 * characters, classes and groups, where only single characters and classes are repeated, and no two repeats of one
 * pattern take the same character.
 */
export function patternProblem(source: string): string | null {
  if (source.length > LONGEST_PATTERN) return `is longer than ${LONGEST_PATTERN} characters`
  try {
    if (new RegExp(source).test('')) return 'matches the empty text, so it would redact nothing, everywhere'
  } catch (error) {
    return `is no regular expression: ${error instanceof Error ? error.message : String(error)}`
  }
  const tokens = tokensOf(source)
  for (const [index, token] of tokens.entries()) {
    if (/^\(\?[^:]/.test(token)) return `has "${token}": of groups only ( ) and (?: ) are allowed`
    if (/^\\[1-9k]/.test(token)) return `has the back reference "${token}", which takes too long`
    if (token === '^' || token === '$') return `has "${token}", and where a text begins or ends is chance`
    const [most = 0] = isRepeat(token)
      ? (token.match(/\d+/g) ?? []).map(Number).toSorted((a, b) => b - a)
      : []
    if (most > LONGEST_COUNT) return `repeats more than ${LONGEST_COUNT} times with "${token}"`
    if (isRepeat(token) && tokens[index - 1] === ')')
      return `repeats a group with "${token}": repeat a character or a class`
  }
  return sharedRepeat(tokens)
}

/** The pattern as it runs: its open repeats bounded. */
export function boundedSource(source: string): string {
  return tokensOf(source)
    .map((token) => {
      const [, sign, least, lazy = ''] = /^(?:([*+])|\{(\d+),\})(\??)$/.exec(token) ?? []
      if (sign === undefined && least === undefined) return token
      const from = sign === '*' ? 0 : Number(least ?? 1)
      return `{${from},${Math.max(from, LONGEST_REPEAT)}}${lazy}`
    })
    .join('')
}

/**
 * Three or four characters that every find of a pattern has, and that JSON writes as they are; null where it has none
 * outside its groups. A pattern without them costs more: see docs/redaction.md.
 */
export function gramOf(source: string): string | null {
  const tokens = tokensOf(source)
  let depth = 0
  let row = ''
  let best = ''
  for (const [index, token] of tokens.entries()) {
    if (token === '|' && depth === 0) return null
    if (token.startsWith('(')) depth++
    const stays = depth === 0 && /^[A-Za-z0-9_~-]$/.test(token) && !isRepeat(tokens[index + 1] ?? '')
    row = stays ? row + token : ''
    if (row.length > best.length) best = row
    if (token === ')') depth--
  }
  return best.length < 3 ? null : best.slice(0, 4)
}

/** Escapes, classes, openings of groups, repeats, and single characters. */
function tokensOf(source: string): string[] {
  return (
    source.match(
      /\\(?:x..|u....|c.|k<[^>]*>|.)|\[(?:\\.|[^\]\\])*\]|\(\?(?:<?[=!]|:|<[^>]*>|[a-z-]+:)?|[*+?]\??|\{\d+(?:,\d*)?\}\??|./gs,
    ) ?? []
  )
}

function isRepeat(token: string): boolean {
  return /^(?:[*+?]\??|\{\d+(?:,\d*)?\}\??)$/.test(token)
}

function sharedRepeat(tokens: readonly string[]): string | null {
  const repeated = tokens.filter((_, index) => {
    const next = tokens[index + 1] ?? ''
    return isRepeat(next) && !/^\{\d+\}$/.test(next)
  })
  for (const [index, one] of repeated.entries()) {
    const other = repeated.slice(index + 1).find((later) => overlap(one, later))
    if (other !== undefined) {
      return `repeats "${one}" and "${other}", which take the same characters: write one of them with a fixed count, {8}`
    }
  }
  return null
}

function overlap(one: string, other: string): boolean {
  const [first, second] = [one, other].map((token) => new RegExp(`^(?:${token})$`, 's'))
  for (let code = 0; code < 0x250; code++) {
    const character = String.fromCharCode(code)
    if (first?.test(character) && second?.test(character)) return true
  }
  return false
}

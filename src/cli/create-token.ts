/** A fresh token, and how the board is told of it. Nothing is written anywhere: who runs the board decides where. */
import { invalidRequest, type Issue } from '../core/errors.ts'
import { parseToken, newToken, scopeProblem, tokenHash, tokenNameProblem, writeToken } from '../core/token.ts'

/** What `drover tokens create --json` prints. */
export interface CreatedToken {
  readonly success: true
  readonly name: string
  readonly scopes: readonly string[]
  /** Shown here and nowhere else. */
  readonly token: string
  /** Hex SHA-256. */
  readonly hash: string
  /** An item of `board.tokens` and of `DROVER_TOKENS`. */
  readonly line: string
}

/** @throws DroverError `invalid_request` for a name or scopes that cannot be */
export function createToken(name: string, scopes: string): CreatedToken {
  const asked = [...new Set(scopes.split(/[,+]/).map((scope) => scope.trim()))].filter(
    (scope) => scope !== '',
  )
  const inName = tokenNameProblem(name)
  const inScopes = asked.length === 0 ? ['names no scope'] : asked.map(scopeProblem)
  const issues = [
    { path: 'name', message: inName },
    ...inScopes.map((message) => ({ path: '--scopes', message })),
  ].filter((issue): issue is Issue => issue.message !== null)
  if (issues.length > 0) throw invalidRequest(issues)
  const token = newToken()
  const known = parseToken(`${name}:${asked.join('+')}:${tokenHash(token)}`)
  return { success: true, ...known, token, line: writeToken(known) }
}

/** For people: the token, and what to do with it. */
export function tokenText({ token, line }: CreatedToken): string {
  return [
    token,
    '',
    'It is not shown again. Clients send it: export DROVER_TOKEN=…',
    'The board takes it once its line is in drover.toml (beside those that are there), and it was started again:',
    '',
    '[board]',
    `tokens = ["${line}"]`,
    '',
    `or in the environment: DROVER_TOKENS=${line}`,
  ].join('\n')
}

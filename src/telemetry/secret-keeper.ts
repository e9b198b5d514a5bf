/** What a process of Drover must not say: its own secrets, and those of the agents that it starts. */
import type { Config } from '../config/settings.ts'
import { parsePattern } from '../core/redact-patterns.ts'
import { createRedactor, type Redactor, type RedactorOptions, type Secret } from '../core/redact.ts'
import { nameRule, secretsOfAddress, secretsOfVariables, type NameRule } from '../core/secrets.ts'

export interface SecretKeeper {
  /** Which names are those of secrets, as configured. */
  readonly isSecret: NameRule
  /** Values that came to be known, of an agent's environment for example; they stay known until they are forgotten. */
  learn(secrets: readonly Secret[]): void
  /** Values that agents were told on purpose: known likewise, and no part of `values`. */
  learnOfPrompt(secrets: readonly Secret[]): void
  /** A value that is worth nothing any more, such as the token of an agent that is gone. */
  forget(value: string): void
  /** All that is known now, for a redactor that must stay the same. */
  options(): Required<RedactorOptions>
  /** Plain text, with all that is known now. */
  text(text: string): string
  /** A JSON text. */
  json(text: string): string
  /** What `text` takes out. */
  find(text: string): readonly Secret[]
  /** Without patterns: for text that must go on to mean what it means. */
  values(): Redactor
}

/** Begins with the secrets of the process' environment and of the configuration. */
export function createSecretKeeper(
  config: Pick<Config, 'redaction' | 'redis' | 'client'>,
  environment: Readonly<Record<string, string | undefined>>,
): SecretKeeper {
  const isSecret = nameRule(config.redaction.env)
  const patterns = config.redaction.patterns.map(parsePattern)
  const secrets = new Map<string, Secret>()
  const ofPrompts = new Map<string, Secret>()
  let redactor: Redactor | null = null
  let values: Redactor | null = null

  function add(known: Map<string, Secret>, more: readonly Secret[]): void {
    for (const secret of more) {
      if (known.has(secret.value)) continue
      known.set(secret.value, secret)
      redactor = null
      values = null
    }
  }
  const learn = (more: readonly Secret[]): void => add(secrets, more)
  function forget(value: string): void {
    if (!ofPrompts.delete(value) && !secrets.delete(value)) return
    redactor = null
    values = null
  }
  const options = (): Required<RedactorOptions> => ({
    secrets: [...secrets.values(), ...ofPrompts.values()],
    patterns,
    known: config.redaction.known,
  })
  const current = (): Redactor => (redactor ??= createRedactor(options()))

  learn(secretsOfVariables(environment, isSecret))
  learn(secretsOfAddress('REDIS_URL', config.redis.url ?? '', isSecret))
  if (config.client.token !== null) learn([{ name: 'DROVER_TOKEN', value: config.client.token }])

  return {
    isSecret,
    learn,
    learnOfPrompt: (more) => add(ofPrompts, more),
    forget,
    options,
    text: (text) => current().text(text),
    json: (text) => current().json(text),
    find: (text) => current().find(text),
    values: () => (values ??= createRedactor({ secrets: [...secrets.values()], known: false })),
  }
}

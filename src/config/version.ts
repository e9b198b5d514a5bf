/** The version of this package. */
import { readFileSync } from 'node:fs'

/** From package.json, which is two levels up from src/config and dist/config alike. */
export function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { version }: { readonly version: string } = JSON.parse(text)
  return version
}

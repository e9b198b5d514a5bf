/** JSON columns that we wrote ourselves, read back. */
import type { Redacted } from '../core/redacted.ts'
import type { TemplateVars } from '../core/request.ts'

export function arrayOf(text: string): unknown[] {
  const value: unknown[] = JSON.parse(text)
  return value
}

export function stringsOf(text: string): string[] {
  const value: string[] = JSON.parse(text)
  return value
}

export function varsOf(text: string | null): TemplateVars | null {
  const value: TemplateVars | null = text === null ? null : JSON.parse(text)
  return value
}

export function redactedOf(text: string | null): Redacted | null {
  const value: Redacted | null = text === null ? null : JSON.parse(text)
  return value
}

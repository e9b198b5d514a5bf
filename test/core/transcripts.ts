import { readdirSync, readFileSync } from 'node:fs'
import type { Asked, Exit } from '../../src/core/outcome.ts'
import { NO_FACTS, observe, type StreamFacts } from '../../src/core/stream-facts.ts'
import type { Usage } from '../../src/core/envelope.ts'

const directory = new URL('../fixtures/claude/', import.meta.url)

/** What is known of a transcript beside its lines, and what follows from it. */
export interface Expectation {
  readonly because: string
  readonly input: {
    readonly exit: Exit | null
    readonly asked: Asked
    readonly stderrTail: string
    readonly spawnError: string | null
  }
  readonly expected: {
    readonly status: string
    readonly failureReason: string | null
    readonly retry: string | { readonly pauseUntil: string | null }
    readonly agentStatus: string
    readonly output: string | null
    readonly numTurns: number
    readonly permissionDenials: number
    readonly costMicros: number
    readonly usage: Usage
    readonly suspect: boolean
  }
}

/** The names of all transcripts of the real CLI. */
export function transcriptNames(): string[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith('.ndjson'))
    .map((file) => file.slice(0, -'.ndjson'.length))
    .toSorted()
}

/** The names that have an expectation. */
export function expectationNames(): string[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith('.expected.json'))
    .map((file) => file.slice(0, -'.expected.json'.length))
    .toSorted()
}

export function readExpectation(name: string): Expectation {
  const expectation: Expectation = JSON.parse(
    readFileSync(new URL(`${name}.expected.json`, directory), 'utf8'),
  )
  return expectation
}

export function transcriptLines(name: string): Record<string, unknown>[] {
  const lines = readFileSync(new URL(`${name}.ndjson`, directory), 'utf8').split('\n')
  return lines
    .filter((line) => line !== '')
    .map((text) => {
      const line: Record<string, unknown> = JSON.parse(text)
      return line
    })
}

/** The facts of a transcript, or of its first `count` lines. */
export function factsOf(name: string, count?: number): StreamFacts {
  return transcriptLines(name).slice(0, count).reduce<StreamFacts>(observe, NO_FACTS)
}

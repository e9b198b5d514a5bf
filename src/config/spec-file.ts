/** Reads `agent_specs.json`: every problem with file, line and key, or the checked specs. */
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { z } from 'zod'
import { isDroverError, messageOf, type Issue } from '../core/errors.ts'
import { nearest } from '../core/ids.ts'
import type { AgentSpec } from './agent-spec.ts'
import { jsonPositions, parseJson, type JsonPositions } from './json-text.ts'
import { readMcpConfig } from './mcp-config.ts'
import { refuse } from './problems.ts'
import { agentSpecsSchema, SPEC_KEYS, toAgentSpec } from './spec-schema.ts'
import { readTextFile } from './text-file.ts'

/** Bytes. */
const MAX_BYTES = 256 * 1024
const FILE_NAME = 'agent_specs.json'
/** The types that come with Drover, at the top of the package: two levels up from src/config and dist/config alike. */
const SHIPPED = fileURLToPath(new URL(`../../${FILE_NAME}`, import.meta.url))

/** Checked agent types. */
export interface LoadedSpecs {
  readonly specs: ReadonlyMap<string, AgentSpec>
  /** The file they came from, absolute. */
  readonly path: string
}

/** One problem of a spec file, also for programs. */
export interface SpecIssue extends Issue {
  readonly file: string
  /** From 1; null where there is no text to have lines. */
  readonly line: number | null
}

/**
 * The specs of the named file; without a name those of `./agent_specs.json` if it exists, else the shipped ones.
 * Throws `invalid_request` whose `issues` are all the problems (`SpecIssue`). Running sessions are not touched by it.
 */
export function loadAgentSpecs({ path, cwd }: { path: string | null; cwd: string }): LoadedSpecs {
  const file = findSpecFile({ path, cwd })
  const read = readTextFile(file, MAX_BYTES)
  if (!read.ok) throw refused(file, [issue(file, null, '', read.problem)])
  return { specs: parseAgentSpecs(read.text, file), path: file }
}

/**
 * The same, with the MCP config files that they name: what a session would be refused for is said before there is one.
 * Throws `invalid_request` whose `issues` are all the problems (`SpecIssue`).
 */
export function validateAgentSpecs(source: { path: string | null; cwd: string }): LoadedSpecs {
  const file = findSpecFile(source)
  const loaded = loadOrIssues(source)
  const own = 'specs' in loaded ? [] : loaded.issues
  const named = mcpIssues(file).filter(({ path }) => !own.some((problem) => problem.path === path))
  const issues = [...own, ...named].toSorted(byLine)
  if (!('specs' in loaded) || issues.length > 0) throw refused(file, issues)
  return loaded
}

function loadOrIssues(source: {
  path: string | null
  cwd: string
}): LoadedSpecs | { readonly issues: readonly SpecIssue[] } {
  try {
    return loadAgentSpecs(source)
  } catch (error) {
    if (!isDroverError(error)) throw error
    return { issues: error.details.issues as readonly SpecIssue[] }
  }
}

/** Of the MCP config files that are named, whatever else is wrong with the types. */
function mcpIssues(file: string): SpecIssue[] {
  const read = readTextFile(file, MAX_BYTES)
  const json = read.ok ? parseJson(read.text) : read
  if (!read.ok || !json.ok) return []
  const positions = jsonPositions(read.text)
  return Object.entries(membersOf(membersOf(json.value).agent_types)).flatMap(([name, spec]) => {
    const { mcp_config: named } = membersOf(spec)
    if (typeof named !== 'string') return []
    const key = ['agent_types', name, 'mcp_config']
    return mcpProblems(resolve(dirname(file), named)).map((problem) =>
      issue(file, positions.lineOf(key), key.join('.'), `names a file that cannot be used: ${problem}`),
    )
  })
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}

function mcpProblems(path: string): string[] {
  try {
    readMcpConfig(path)
    return []
  } catch (error) {
    const { issues } = isDroverError(error) ? error.details : {}
    return Array.isArray(issues)
      ? (issues as readonly Issue[]).map(({ message }) => message)
      : [messageOf(error)]
  }
}

/** The file that the types are read from, absolute. */
export function findSpecFile({ path, cwd }: { path: string | null; cwd: string }): string {
  if (path !== null) return resolve(cwd, path)
  const local = join(cwd, FILE_NAME)
  return existsSync(local) ? local : SHIPPED
}

function parseAgentSpecs(text: string, file: string): ReadonlyMap<string, AgentSpec> {
  const json = parseJson(text)
  if (!json.ok) throw refused(file, [issue(file, json.line, '', json.problem)])
  const positions = jsonPositions(text)
  const parsed = agentSpecsSchema.safeParse(json.value, { reportInput: true })
  const bad = positions.badMembers.map(({ key, line, problem }) => issue(file, line, key, problem))
  if (!parsed.success || bad.length > 0) {
    const problems = parsed.error?.issues.flatMap((problem) => describe(problem, file, positions)) ?? []
    const others = problems.filter(({ path }) => !bad.some((member) => member.path === path))
    throw refused(file, [...bad, ...others].toSorted(byLine))
  }
  const directory = dirname(file)
  return new Map(
    Object.entries(parsed.data.agent_types).map(([name, spec]) => [name, toAgentSpec(name, spec, directory)]),
  )
}

function describe(problem: z.core.$ZodIssue, file: string, positions: JsonPositions): SpecIssue[] {
  const at = (path: readonly PropertyKey[], message: string): SpecIssue =>
    issue(file, positions.lineOf(path), path.map(String).join('.'), message)

  if (problem.code === 'unrecognized_keys') {
    return problem.keys.map((key) => at([...problem.path, key], unknownKey(key, problem.path)))
  }
  if (problem.code === 'invalid_key') {
    return problem.issues.map((inner) => at(problem.path, `has a name that ${inner.message}`))
  }
  return [at(problem.path, isMissing(problem) ? 'is required' : problem.message)]
}

function isMissing(problem: z.core.$ZodIssue): boolean {
  return problem.code === 'invalid_type' && problem.input === undefined
}

function unknownKey(key: string, path: readonly PropertyKey[]): string {
  const near = nearest(key, knownKeysAt(path))
  return near === null
    ? 'is not a key of agent specs'
    : `is not a key of agent specs; did you mean "${near}"?`
}

function knownKeysAt(path: readonly PropertyKey[]): readonly string[] {
  if (path.length === 0) return Object.keys(agentSpecsSchema.shape)
  return path.at(-1) === 'env' ? ['PASS', 'SET'] : SPEC_KEYS
}

function issue(file: string, line: number | null, key: string, problem: string): SpecIssue {
  const where = line === null ? file : `${file}:${line}:`
  return { path: key, file, line, message: [where, key, problem].filter((part) => part !== '').join(' ') }
}

function byLine(a: SpecIssue, b: SpecIssue): number {
  return (a.line ?? 0) - (b.line ?? 0)
}

function refused(file: string, issues: readonly SpecIssue[]): Error {
  return refuse(`The agent types of ${file} were refused`, issues)
}

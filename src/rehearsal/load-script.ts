/** From a name or a path to a valid script, or to a sentence that lists everything wrong with it. */
import { readdir } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LineCounter, parseDocument, type Document } from 'yaml'
import type { z } from 'zod'
import { refuse } from '../config/problems.ts'
import { readTextFile } from '../config/text-file.ts'
import { offsetOf } from '../config/yaml-position.ts'
import { DroverError, messageOf, type Issue } from '../core/errors.ts'
import { didYouMean, nearest } from '../core/ids.ts'
import { SCRIPT_KEYS, scriptSchema, type Script } from './script.ts'

/** The same two levels up from `src/rehearsal` and from `dist/rehearsal`. */
const SHIPPED_DIR = fileURLToPath(new URL('../../examples/rehearsals', import.meta.url))

const NAME_PATTERN = /^[a-z0-9][a-z0-9-]*$/
const MAX_SCRIPT_BYTES = 1024 * 1024

/**
 * Loads a script by name (from `dirs` in their order, then from those that Drover ships) or, if it is no plain
 * name, by path.
 *
 * @throws `invalid_request`: no such script (with the names there are), or one with problems (all of them, each
 * with its line, in `details.issues`).
 */
export async function loadScript(
  nameOrPath: string,
  options: { readonly dirs?: readonly string[] } = {},
): Promise<Script> {
  const file = NAME_PATTERN.test(nameOrPath)
    ? await findByName(nameOrPath, [...(options.dirs ?? []), SHIPPED_DIR])
    : resolve(nameOrPath)
  const read = readTextFile(file, MAX_SCRIPT_BYTES)
  if (read.ok) return parseScript(read.text, file)
  const message = `The rehearsal script ${file} ${read.problem}. Give the path of a script, or the name of a shipped one.`
  throw new DroverError('invalid_request', message)
}

async function findByName(name: string, dirs: readonly string[]): Promise<string> {
  const known = new Map<string, string>()
  for (const dir of dirs) {
    for (const entry of await readdir(dir).catch(() => [])) {
      const scriptName = nameOf(entry)
      if (entry !== scriptName && !known.has(scriptName)) known.set(scriptName, join(dir, entry))
    }
  }
  const file = known.get(name)
  if (file !== undefined) return file
  const names = [...known.keys()].toSorted()
  const message = `There is no rehearsal script "${name}".${didYouMean(name, names)} Give one of the names, or a path.`
  throw new DroverError('invalid_request', message, { known: names })
}

/**
 * Checks a script's text; `file` is where it came from, for the messages and the name.
 *
 * @throws `invalid_request` with every problem
 */
export function parseScript(text: string, file: string): Script {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const errors = document.errors.map(({ pos, message }): Problem => {
    return { line: lines.linePos(pos[0]).line, key: '', problem: `is not valid YAML: ${reasonOf(message)}` }
  })
  if (errors.length > 0) throw refuseScript(file, errors)

  // With the input in its issues, to tell what is missing from what is of another type.
  const parsed = scriptSchema.safeParse(valueOf(document, file), { reportInput: true })
  if (parsed.success) return { ...parsed.data, name: nameOf(basename(file)), file }
  const problems = parsed.error.issues.flatMap(problemsOf).map(({ path, problem }): Problem => {
    return { line: lines.linePos(offsetOf(path, document)).line, key: path.map(String).join('.'), problem }
  })
  throw refuseScript(file, problems)
}

/** An alias without an anchor, or a billion of them, shows only here. */
function valueOf(document: Document, file: string): unknown {
  try {
    return document.toJS()
  } catch (error) {
    throw refuseScript(file, [{ line: 1, key: '', problem: `is not valid YAML: ${messageOf(error)}` }])
  }
}

interface Problem {
  readonly line: number
  readonly key: string
  readonly problem: string
}

function refuseScript(file: string, problems: readonly Problem[]): DroverError {
  const issues = problems
    .toSorted((a, b) => a.line - b.line)
    .map(({ line, key, problem }): Issue => {
      return { path: key, message: `${file}:${line}: ${key === '' ? '' : `${key} `}${problem}` }
    })
  return refuse('The rehearsal script was refused', issues)
}

function problemsOf(issue: z.core.$ZodIssue): { path: PropertyKey[]; problem: string }[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...issue.path, key], problem: unknownKey(key) }))
  }
  // Of a refused key the issue itself says no more than "Invalid key in record".
  const message = issue.code === 'invalid_key' ? issue.issues[0]?.message : issue.message
  const missing = issue.code === 'invalid_type' && issue.input === undefined
  return [{ path: issue.path, problem: missing ? 'is required' : (message ?? issue.message) }]
}

function unknownKey(key: string): string {
  const near = nearest(key, SCRIPT_KEYS)
  return near === null ? 'is not a known key' : `is not a known key; did you mean "${near}"?`
}

function nameOf(fileName: string): string {
  return fileName.replace(/\.ya?ml$/, '')
}

/** The parser's messages end with a position of their own and show the line. */
function reasonOf(message: string): string {
  return message.replace(/ at line \d+, column \d+:.*/s, '')
}

/**
 * The agent file that a spec names: `.claude/agents/<name>.md`, a text with a head of YAML.
 *
 * The CLI runs without a word where it does not know the agent (measured with 2.1.329 and stream-json input), and it
 * knows those of the workspace only where it loads the project's settings, hooks included. So Drover finds the file
 * itself, and gives the CLI what it says.
 */
import { readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import type { AgentSpec } from '../config/agent-spec.ts'
import { readTextFile } from '../config/text-file.ts'
import { DroverError } from '../core/errors.ts'
import { didYouMean } from '../core/ids.ts'

/** Bytes. */
const MAX_BYTES = 256 * 1024
const FOLDER = '.claude/agents'
/** What the CLI brings along. */
const BUILT_IN = ['claude', 'Explore', 'general-purpose', 'Plan', 'statusline-setup']

const names = z
  .union([z.string().transform((text) => text.split(',').map((name) => name.trim())), z.array(z.string())])
  .transform((list) => list.filter((name) => name !== ''))

/** Of a file's head, what an agent of a repository may say of itself. Hooks, servers and permissions are not among it. */
const headSchema = z.object({
  description: z.string().optional(),
  tools: names.optional(),
  disallowedTools: names.optional(),
  model: z.string().optional(),
})

/** An agent as `claude --agents` takes it. */
type AgentDefinition = z.output<typeof headSchema> & { readonly description: string; readonly prompt: string }

export interface AgentFileOptions {
  /** Where the agent works: its file is looked for here and in the directories above, up to the top of the repository. */
  readonly cwd: string
  /** The user's configuration directory; null for none. */
  readonly userDir: string | null
}

/**
 * Writes what the spec's `agent` is to `file`, for `claude --agents`; null where the spec names none, or one of the
 * CLI's own.
 *
 * @throws DroverError `invalid_request` where there is no such agent (with near names), or its file is none
 */
export async function prepareAgent(
  spec: AgentSpec,
  options: AgentFileOptions,
  file: string,
): Promise<string | null> {
  const { agent } = spec
  if (agent === null || BUILT_IN.includes(agent)) return null
  const definition = await findAgent(agent, await foldersOf(spec, options))
  await writeFile(file, JSON.stringify({ [agent]: definition }), { mode: 0o600 })
  return file
}

async function foldersOf(spec: AgentSpec, { cwd, userDir }: AgentFileOptions): Promise<string[]> {
  const folders: string[] = []
  for (let dir = cwd; ; dir = dirname(dir)) {
    folders.push(join(dir, FOLDER))
    const entries = await readdir(dir).catch((): string[] => [])
    // Not above the repository: those files are somebody else's.
    if (entries.includes('.git') || dirname(dir) === dir) break
  }
  const isUsers = userDir !== null && spec.settingSources.includes('user')
  return isUsers ? [...folders, join(userDir, 'agents')] : folders
}

async function findAgent(name: string, folders: readonly string[]): Promise<AgentDefinition> {
  for (const folder of folders) {
    const path = join(folder, `${name}.md`)
    const read = readTextFile(path, MAX_BYTES)
    if (read.ok) return readAgent(path, read.text)
    if (!read.missing) throw refused(`The agent file ${path} ${read.problem}.`)
  }
  const listed = await Promise.all(folders.map((folder) => readdir(folder).catch(() => [])))
  const known = listed
    .flat()
    .filter((entry) => entry.endsWith('.md'))
    .map((entry) => entry.slice(0, -'.md'.length))
  throw refused(
    `There is no agent "${name}": ${folders[0]} has no ${name}.md.${didYouMean(name, [...new Set([...known, ...BUILT_IN])])}`,
  )
}

function readAgent(path: string, text: string): AgentDefinition {
  const parts = /^---\r?\n(.*?)^---[ \t]*(?:\r?\n|$)(.*)$/ms.exec(text)
  const [, head = '', body = text] = parts ?? []
  let value: unknown
  try {
    value = parse(head) ?? {}
  } catch {
    throw refused(`The agent file ${path} has a head that is no YAML.`)
  }
  const parsed = headSchema.safeParse(value)
  if (!parsed.success) {
    const members = [...new Set(parsed.error.issues.map((issue) => issue.path.join('.') || 'head'))]
    throw refused(`The agent file ${path} has a head whose ${members.join(', ')} cannot be read.`)
  }
  const prompt = body.trim()
  if (prompt === '') throw refused(`The agent file ${path} says nothing below its head.`)
  return { ...parsed.data, description: parsed.data.description ?? '', prompt }
}

function refused(message: string): DroverError {
  return new DroverError('invalid_request', message)
}

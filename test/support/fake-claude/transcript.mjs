/**
 * What is kept of a session between two processes: its script, its cost and the prompts it was given, where the real
 * CLI keeps its conversation. Found under any slug and only ever appended to, as the real one: the last whole line
 * counts.
 */
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { print, resultLine } from './messages.mjs'

export function openTranscript({ sessionId, resume, forked }) {
  const projects = join(
    process.env.CLAUDE_CONFIG_DIR ?? join(process.env.HOME ?? '/nonexistent', '.claude'),
    'projects',
  )
  const slug = process.cwd().replaceAll(/[^a-zA-Z0-9]/g, '-')
  const own = find(projects, sessionId)
  if (own !== null && resume !== sessionId) refuse(`Error: Session ID ${sessionId} is already in use.`)
  const from = resume === undefined ? null : find(projects, resume)
  if (resume !== undefined && from === null) {
    const error = `No conversation found with session ID: ${resume}`
    print(
      resultLine({ sessionId: resume, subtype: 'error_during_execution', isError: true, errors: [error] }),
    )
    refuse(error)
  }
  const file = own ?? join(projects, slug, `${sessionId}.jsonl`)
  let state = from === null ? { script: {}, costUsd: 0, prompts: [] } : lastState(from)
  if (forked) state = { ...state, costUsd: 0 }
  return {
    state: () => state,
    /** Whether a message is in there, by the uuid that it was given with. */
    has: (uuid) => from !== null && readFileSync(from, 'utf8').includes(`"uuid":"${uuid}"`),
    save(changes) {
      state = { ...state, ...changes }
      mkdirSync(dirname(file), { recursive: true })
      appendFileSync(file, `${JSON.stringify(state)}\n`)
    },
  }
}

function find(projects, sessionId) {
  const slugs = existsSync(projects) ? readdirSync(projects) : []
  const files = slugs.map((slug) => join(projects, slug, `${sessionId}.jsonl`))
  return files.find((file) => existsSync(file)) ?? null
}

/** A torn last line is read over. */
function lastState(file) {
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1)
  return JSON.parse(lines.at(-1) ?? '{"script":{},"costUsd":0,"prompts":[]}')
}

function refuse(message) {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}

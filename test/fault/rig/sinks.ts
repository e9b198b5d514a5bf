/** Everything that is kept or shown of what agents said: where a secret of theirs must not be. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Field } from './field.ts'

interface Sinks extends Readonly<Record<string, string>> {
  readonly ledger: string
  readonly 'Redis (every command, AOF)': string
  readonly 'log of the pods': string
  readonly 'log of the board': string
  readonly 'HTTP answers': string
}

/** Each as one text of bytes (latin1); the answers are those about this session and all lists. */
export async function sinksOf(field: Field, sessionId: string): Promise<Sinks> {
  return {
    ledger: await bytesOf(join(field.scratch.dir, 'board')),
    'Redis (every command, AOF)': await bytesOf(join(field.scratch.dir, 'redis')),
    'log of the pods': field.pods.map((pod) => pod.log()).join('\n'),
    'log of the board': field.board().log(),
    'HTTP answers': await answers(field, sessionId),
  }
}

async function bytesOf(dir: string): Promise<string> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return (await Promise.all(files.map((file) => readFile(file, 'latin1')))).join('\n')
}

async function answers(field: Field, sessionId: string): Promise<string> {
  const base = `${String(field.board().ready['url'])}/api/v1`
  const paths = [
    `/sessions/${sessionId}`,
    `/sessions/${sessionId}/events?limit=1000`,
    `/sessions/${sessionId}/export?format=markdown`,
    '/sessions',
    `/agents?session_id=${sessionId}`,
    '/events?limit=200',
  ]
  const texts = await Promise.all(paths.map(async (path) => await (await fetch(base + path)).text()))
  return texts.join('\n')
}

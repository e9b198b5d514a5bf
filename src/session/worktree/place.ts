/**
 * Where worktrees are: `<data>/worktrees/<key>-<digest of the repository>/<name of the checkout>`, never inside `.git`,
 * where the CLI lets no agent write. Beside each is a file that says of which repository it is, so that a pod finds what
 * it made without knowing any repository. The data directory may be inside a checkout: what is here, git ignores.
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { z } from 'zod'
import { sha256, TASK_ID_PATTERN } from '../../core/ids.ts'
import { readSmallFile } from '../small-file.ts'
import type { Repository } from './repository.ts'

const FOLDER = 'worktrees'
const OWNER_FILE = 'repository.json'
const MOST_BYTES = 16 * 1024

const ownerSchema = z.object({
  common_dir: z.string().startsWith('/'),
  key: z.string().regex(TASK_ID_PATTERN),
})

/** A worktree that was made, or begun, under this data directory. */
export interface Place {
  readonly commonDir: string
  readonly key: string
  /** The directory of Drover that the checkout is in. */
  readonly dir: string
}

/** The path of the checkout; derived, so that it is found again. */
export function placeOf(dataDir: string, { commonDir, topLevel }: Repository, key: string): string {
  const name = `${key}-${sha256(commonDir).slice(0, 12)}`
  return join(resolve(dataDir), FOLDER, name, basename(topLevel) || 'checkout')
}

/** Makes the directory that the checkout will be in; may be repeated. */
export async function preparePlace(path: string, commonDir: string, key: string): Promise<void> {
  const dir = dirname(path)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await writeFile(join(dirname(dir), '.gitignore'), '*\n')
  await writeFile(join(dir, OWNER_FILE), JSON.stringify({ common_dir: commonDir, key }))
}

/** Takes a directory of ours away, with all that is in it. */
export async function clearPlace({ dir }: Pick<Place, 'dir'>): Promise<void> {
  await rm(dir, { recursive: true, force: true, maxRetries: 3 })
}

/** Whether there is no checkout in it, nor anything else. */
export async function isEmptyPlace({ dir }: Place): Promise<boolean> {
  const names = await readdir(dir)
  return names.every((name) => name === OWNER_FILE)
}

/** All that were made under this data directory and are not settled away. */
export async function listPlaces(dataDir: string): Promise<Place[]> {
  const root = join(resolve(dataDir), FOLDER)
  const names = await readdir(root).catch(() => [])
  const places = await Promise.all(names.map((name) => readPlace(join(root, name))))
  return places.filter((place) => place !== null)
}

/** The directory that Drover has made for this worktree; null where its path, which an agent can write, is in none. */
export async function placeOfWorktree(
  commonDir: string,
  { path, key }: { readonly path: string; readonly key: string },
): Promise<Place | null> {
  const place = await readPlace(dirname(path))
  return place?.commonDir === commonDir && place.key === key ? place : null
}

async function readPlace(dir: string): Promise<Place | null> {
  const text = await readSmallFile(join(dir, OWNER_FILE), MOST_BYTES).catch(() => '')
  try {
    const parsed = ownerSchema.safeParse(JSON.parse(text))
    return parsed.success ? { commonDir: parsed.data.common_dir, key: parsed.data.key, dir } : null
  } catch {
    return null
  }
}

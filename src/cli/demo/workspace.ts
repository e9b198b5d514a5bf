/** The demo's workspace: a small git repository, and what the two agents must leave in it. */
import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { DroverError } from '../../core/errors.ts'

export const EXPECTED_FILES = ['docs/SPEC.md', 'greet.mjs', 'greet.test.mjs'] as const

const README = `# Demo workspace

A small repository that \`drover demo\` made. An architect writes docs/SPEC.md, a developer implements it.
`
const IDENTITY = [
  '-c',
  'user.name=drover demo',
  '-c',
  'user.email=demo@localhost',
  '-c',
  'commit.gpgsign=false',
]

/** Makes the repository with one commit. */
export async function makeWorkspace(
  dir: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  await mkdir(join(dir, 'docs'), { recursive: true })
  await writeFile(join(dir, 'README.md'), README)
  const git = async (...args: string[]): Promise<void> => {
    const done = await execa('git', args, { cwd: dir, env, extendEnv: false, reject: false, stdin: 'ignore' })
    if (!done.failed) return
    throw new DroverError(
      'setup_failed',
      `The demo's repository could not be made: \`git ${args[0]}\` failed: ${done.stderr || done.shortMessage}`,
    )
  }
  await git('init', '--quiet')
  await git('add', '.')
  await git(...IDENTITY, 'commit', '--quiet', '--message', 'A place for the demo')
}

export interface DemoFile {
  readonly path: string
  readonly bytes: number
}

/** Those of the expected files that are there. */
export async function writtenFiles(dir: string): Promise<DemoFile[]> {
  const files = await Promise.all(
    EXPECTED_FILES.map(async (path) => ({
      path,
      bytes: (await stat(join(dir, path)).catch(() => null))?.size ?? 0,
    })),
  )
  return files.filter((file) => file.bytes > 0)
}

/** The files of a run with a breach: witness, ledger, spools, Redis' data, logs and the timeline. */
import { lstatSync } from 'node:fs'
import { cp, mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Arena } from './arena.ts'
import type { Workload } from './workload.ts'

/** Answers where they are. To be called while the field is still open. */
export async function keepFiles(
  { field, deeds }: Arena,
  workload: Workload,
  report: object,
): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), `drover-soak-${field.seed}-`))
  await cp(field.scratch.dir, join(dir, 'field'), {
    recursive: true,
    verbatimSymlinks: true,
    // Sockets cannot be copied, and a file may go while it is looked at.
    filter: (from) => isFile(from),
  })
  await mkdir(join(dir, 'logs'))
  for (const [index, pod] of field.pods.entries()) {
    await writeFile(
      join(dir, 'logs', `${String(index + 1).padStart(3, '0')}-${pod.id}-${pod.pid}.log`),
      pod.log(),
    )
  }
  await writeFile(join(dir, 'logs', 'board.log'), field.board().log())
  const document = (name: string, value: unknown): Promise<void> =>
    writeFile(join(dir, name), `${JSON.stringify(value, null, 2)}\n`)
  await document('report.json', report)
  await document('timeline.json', { deeds, freezes: field.freezes })
  await document('submissions.json', workload.submissions)
  return dir
}

function isFile(path: string): boolean {
  const entry = lstatSync(path, { throwIfNoEntry: false })
  return entry !== undefined && (entry.isFile() || entry.isDirectory() || entry.isSymbolicLink())
}

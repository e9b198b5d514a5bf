/**
 * The witness, outside of the system that is tested: plain files and kernel locks in `DROVER_WITNESS_DIR`, readable
 * when every process is dead.
 *
 *     <agent id>.<pid>.ndjson   start, a beat every 50 ms, end; on the machine's one monotonic clock
 *     <agent type>.run          locked while an agent of the type is alive: a second one writes `violation`
 *     <agent id>.tree           locked while the agent or anything that it started is alive
 */
import { spawnSync } from 'node:child_process'
import { appendFileSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'

const BEAT_MS = 50

export function startWitness(sessionId) {
  const dir = process.env.DROVER_WITNESS_DIR
  if (!dir) return { treeFd: null, end: () => undefined }
  mkdirSync(dir, { recursive: true })
  const agentType = process.env.AGENT_TYPE ?? 'unknown'
  const agentId = process.env.AGENT_ID ?? 'unknown'
  const file = join(dir, `${agentId}.${process.pid}.ndjson`)
  const record = (kind, more = {}) => {
    const mono_ns = String(process.hrtime.bigint())
    const who = { pid: process.pid, agent_type: agentType, session_id: sessionId, agent_id: agentId }
    appendFileSync(file, `${JSON.stringify({ kind, mono_ns, ...who, ...more })}\n`)
  }
  // Held open for as long as this process lives; the kernel frees it then, SIGKILL or not.
  const alone = lock(openSync(join(dir, `${agentType}.run`), 'a'))
  const treeFd = openSync(join(dir, `${agentId}.tree`), 'a')
  lock(treeFd)
  record('start', {
    attempt: process.env.DROVER_ATTEMPT ?? null,
    argv: process.argv.slice(2),
    env_names: Object.keys(process.env).toSorted(),
  })
  if (!alone) record('violation')
  setInterval(() => record('beat'), BEAT_MS).unref()
  return { treeFd, end: () => record('end') }
}

/** flock(2) is of the open file: taken by a child on our descriptor, it is ours when the child has ended. */
function lock(fd) {
  return spawnSync('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] }).status === 0
}

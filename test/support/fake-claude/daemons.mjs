/** Processes that outlive what started them, in the ways that tools do it (M14). */
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'

/** Each writes its pid to its first argument, ignores the polite signals and stays. */
const BODY = 'trap "" TERM INT HUP; echo $$ > "$0.new"; mv "$0.new" "$0"; while :; do sleep 3600; done'

const COMMANDS = {
  plain: (file) => ['sh', ['-c', BODY, file]],
  setsid: (file) => ['setsid', ['sh', '-c', BODY, file]],
  double_fork: (file) => ['sh', ['-c', '(setsid sh -c "$1" "$0" &) &', file, BODY]],
  env_clean: (file) => ['env', ['-i', 'PATH=/usr/bin:/bin', 'setsid', 'sh', '-c', BODY, file]],
  env_clean_double_fork: (file) => [
    'sh',
    ['-c', '(env -i PATH=/usr/bin:/bin setsid sh -c "$1" "$0" &) &', file, BODY],
  ],
}

export function startDaemons({ daemons, daemon_dir: dir, hold_stdout: hold }, witness) {
  if (daemons.length === 0) return
  mkdirSync(resolve(dir), { recursive: true })
  for (const kind of daemons) {
    const [file, args] = COMMANDS[kind](resolve(dir, `${kind}.pid`))
    const tree = witness.treeFd
    spawn(file, args, {
      stdio: ['ignore', hold ? 'inherit' : 'ignore', 'ignore', ...(tree === null ? [] : [tree])],
    }).unref()
  }
}

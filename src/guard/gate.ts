/**
 * The gate: what stands in the CLI's place until the guard knows it by identity and has written that down.
 *
 * A shell says `held` on descriptor 3 and reads a line from there; then it becomes the program. When the guard dies
 * first, the shell reads the end instead and the program never runs. So there is no instant at which an agent runs
 * and nobody could find it again. The shell is the system's: a Node process would take 40 MB for each agent.
 */
import type { CommandLine } from './tier.ts'

const SHELL = '/bin/sh'
/** What the shell's error messages are headed with. */
const SHELL_NAME = 'drover'

/** The shell becomes the program: it keeps its pid. */
const GATE = 'echo held >&3; read -r _ <&3 && exec "$@" 3>&-'

/**
 * For the first process of a pid namespace. The program is its child, because a first process ignores every signal
 * that it does not handle, its own SIGKILL too, and has to collect orphans. Its end is the end of all others; how
 * many there were is said first. The shell's own words about signals are no output of the agent's.
 */
const INIT = `exec 4>&2 2>/dev/null
(echo held >&3; read -r _ <&3 && exec "$@" 2>&4 3>&- 4>&-)
code=$?
set -- /proc/[0-9]*
echo "left $(($# - 1))" >&3
exit $code`

/** The program behind a gate, in the same process. */
export const gated = (program: CommandLine): CommandLine => inShell(GATE, program)

/** The program behind a gate, as the child of a first process. */
export const gatedInit = (program: CommandLine): CommandLine => inShell(INIT, program)

const inShell = (script: string, { file, args }: CommandLine): CommandLine => ({
  file: SHELL,
  args: ['-c', script, SHELL_NAME, file, ...args],
})

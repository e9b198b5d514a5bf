/** `--rehearse[=script]`, as several commands take it. Loads the rehearsal only when it is asked for. */
import type { Rehearsal } from '../../rehearsal/rehearsal.ts'

/** Script of `--rehearse` without a name. */
const DEFAULT_SCRIPT = 'default'

export const REHEARSE_FLAG = '--rehearse'
export const REHEARSE_OPTION = [
  `${REHEARSE_FLAG} [script]`,
  'run the real CLI against a scripted model on loopback: no account, no cost',
] as const

/** The script's name, `bare` where none is named; null without the option. */
export function scriptName(option: string | true | undefined, bare = DEFAULT_SCRIPT): string | null {
  if (option === undefined) return null
  return option === true || option === '' ? bare : option
}

/**
 * Starts the rehearsal that an option asks for; null without one.
 *
 * @throws DroverError `invalid_request`: no such script, or one with problems
 */
export async function rehearsalOf(option: string | true | undefined): Promise<Rehearsal | null> {
  const name = scriptName(option)
  if (name === null) return null
  const [{ loadScript }, { startRehearsal }] = await Promise.all([
    import('../../rehearsal/load-script.ts'),
    import('../../rehearsal/rehearsal.ts'),
  ])
  return await startRehearsal(await loadScript(name))
}

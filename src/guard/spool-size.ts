/** How much an agent has printed. */
import { statSync } from 'node:fs'

/**
 * Bytes; 0 where there is no such file, or it cannot be looked at: an agent can reach its own spool (a loop of links in
 * its place), and must not end by that who looks.
 */
export function spoolSize(file: string): number {
  try {
    return statSync(file).size
  } catch {
    return 0
  }
}

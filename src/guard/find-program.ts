/** Programs of the system. The guard has no PATH to search, by intention. */
import { existsSync } from 'node:fs'

const DIRECTORIES = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin', '/run/current-system/sw/bin']

/** The absolute path of a program that is there and passes the check; null where there is none. */
export function findProgram(name: string, check: (path: string) => boolean = () => true): string | null {
  const paths = DIRECTORIES.map((directory) => `${directory}/${name}`)
  return paths.find((path) => existsSync(path) && check(path)) ?? null
}

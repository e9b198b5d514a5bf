/** Which Node runs Drover. Imports nothing: it must be able to say so on a Node that can run nothing else of it. */

/** 22.14 has the N-API 10 without which better-sqlite3 crashes; 22.18 runs TypeScript as it stands. 23 is over. */
const MINIMUM = { major: 22, minor: 18 }

/** What is wrong with this version of Node and what to do, as a sentence; null where nothing is. */
export function nodeProblem(version: string): string | null {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > MINIMUM.major + 1 || (major === MINIMUM.major && minor >= MINIMUM.minor)) return null
  return `Drover needs Node ${MINIMUM.major}.${MINIMUM.minor} or newer, and not 23; this is ${version}. ./drover in a checkout brings its own.`
}

#!/usr/bin/env node
/**
 * The `drover` command. Only `cli/` reads the process environment, handles signals and exits; what the commands do is
 * in `commands/`.
 *
 * Compiled code is kept in the package's own `node_modules/.cache`: a start takes some 30 ms less with it. Where that
 * cannot be written, Node goes on without.
 */
import module from 'node:module'
import { fileURLToPath } from 'node:url'
import { nodeProblem } from './node-version.ts'

const problem = nodeProblem(process.versions.node)
if (problem !== null) {
  process.stderr.write(`error: ${problem}\n`)
  process.exit(3)
}
module.enableCompileCache(fileURLToPath(new URL('../../node_modules/.cache/drover', import.meta.url)))
const { runCommandLine } = await import('./command-line.ts')
await runCommandLine()

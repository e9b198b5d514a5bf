#!/usr/bin/env node
/**
 * The `drover` command. Only `cli/` reads the process environment, handles signals and exits; what the commands do is
 * in `commands/`.
 *
 * Compiled code is kept in the package's own `node_modules/.cache`: a start takes some 30 ms less with it. Where that
 * cannot be written, Node goes on without.
 */
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

enableCompileCache(fileURLToPath(new URL('../../node_modules/.cache/drover', import.meta.url)))
const { runCommandLine } = await import('./command-line.ts')
await runCommandLine()

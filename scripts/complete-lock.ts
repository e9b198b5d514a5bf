/**
 * Completes package-lock.json: `node scripts/complete-lock.ts [package-lock.json]`, after every `npm install`.
 *
 * Some registry mirrors do not resolve the optional binaries of other platforms. npm then leaves them out of the lock
 * file, and `npm ci` calls such a file out of sync, on every platform. This adds an entry for each missing optional
 * dependency: its version (they are pinned exactly by the package that wants them) and the platform it is for, which
 * its name says. Nothing is looked up. Download addresses are removed, so that the file works with every mirror.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { completeLock, parseLock } from './lock-file.ts'

const path = resolve(process.argv[2] ?? 'package-lock.json')
const { complete, added, addressesRemoved } = completeLock(parseLock(readFileSync(path, 'utf8')))
writeFileSync(path, `${JSON.stringify(complete, null, 2)}\n`)
console.log(`${path}: ${added.length} optional packages added, ${addressesRemoved} addresses removed`)

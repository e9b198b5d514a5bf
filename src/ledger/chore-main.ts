/**
 * A long look at the ledger as a process of its own, so that neither the event loop nor a lease waits for it, and so
 * that it can be ended at any moment: `node chore-main.js check|backup <ledger> [<file>]`, at a lower priority than who
 * asked for it. One JSON document on stdout: `{"ok": …}`, or `{"error": "…"}`.
 */
import { constants, setPriority } from 'node:os'
import { messageOf } from '../core/errors.ts'
import { backup } from './backup.ts'
import { checkFile } from './check.ts'

const [chore = '', path = '', file] = process.argv.slice(2)

function run(): unknown {
  if (chore === 'check') return checkFile(path)
  if (chore === 'backup') return backup(path, { file })
  throw new Error(`There is no chore "${chore}".`)
}

// A large file takes half a minute of CPU: agents and answers go first.
setPriority(constants.priority.PRIORITY_BELOW_NORMAL)
try {
  process.stdout.write(JSON.stringify({ ok: run() }))
} catch (error) {
  process.stdout.write(JSON.stringify({ error: messageOf(error) }))
}

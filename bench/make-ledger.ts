/**
 * `node bench/make-ledger.ts DIR`: makes the ledger of `big-ledger` and keeps it, so that what takes minutes needs no
 * quiet machine and is done once. Asked with `npm run bench -- big-ledger --ledger DIR`.
 */
import { EXIT } from '../src/core/errors.ts'
import { makeBigLedger } from './big-ledger.ts'

const [dir] = process.argv.slice(2)
if (dir === undefined) {
  console.error('Usage: node bench/make-ledger.ts DIR')
  process.exitCode = EXIT.usage
} else {
  console.log(makeBigLedger(dir))
}

/** `npm run check`: every stage in order with its duration, up to the first that fails. Arguments go to vitest. */
import { spawnSync } from 'node:child_process'

const STAGES = ['format:check', 'lint', 'typecheck', 'boundaries', 'unused', 'build', 'test', 'soak'] as const

/** What a stage gets on the command line in this place. */
const ARGUMENTS: Readonly<Partial<Record<(typeof STAGES)[number], readonly string[]>>> = {
  test: process.argv.slice(2),
  // Half a minute with a fixed seed: long enough that every safety check is at work, and has seen faults.
  soak: ['--seed', '3', '--minutes', '0.4'],
}

const durations: string[] = []
for (const stage of STAGES) {
  const started = performance.now()
  console.log(`\n── ${stage}`)
  const more = ARGUMENTS[stage] ?? []
  const { status } = spawnSync('npm', ['run', '--silent', stage, '--', ...more], { stdio: 'inherit' })
  durations.push(`${stage} ${((performance.now() - started) / 1000).toFixed(1)} s`)
  if (status === 0) continue
  console.log(`\n── ${stage} FAILED (${durations.join(', ')})`)
  process.exit(1)
}
console.log(`\n── all passed (${durations.join(', ')})`)

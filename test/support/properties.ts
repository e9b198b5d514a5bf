/**
 * Before every test file: what fast-check draws. In CI the same cases each time, so that a change is judged by itself;
 * elsewhere fresh ones, and a failure prints the seed that repeats it.
 */
import fc from 'fast-check'

if (process.env['CI'] === 'true') fc.configureGlobal({ seed: 20_261_121 })

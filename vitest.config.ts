import { defineConfig } from 'vitest/config'

/**
 * Folders whose files have a process each: they start and end programs, and each is to begin as if alone. All others share
 * their worker's process, so that a module is loaded once and not once per file: a quarter to a half less time.
 */
const ALONE = ['cli', 'e2e', 'fault', 'worker'].map((folder) => `test/${folder}/**/*.test.ts`)

export default defineConfig({
  test: {
    setupFiles: ['test/support/properties.ts'],
    // Real processes on 2 cores: most files wait half of their time, so three at a time, with generous bounds and
    // conditions instead of sleeps.
    pool: 'forks',
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    reporters: ['default'],
    projects: [
      { extends: true, test: { name: 'alone', include: ALONE } },
      {
        extends: true,
        test: { name: 'shared', include: ['test/**/*.test.ts'], exclude: ALONE, isolate: false },
      },
    ],
  },
})

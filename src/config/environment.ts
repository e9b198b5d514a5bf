/** Notices misspelt `DROVER_…` variables: they would silently leave a default in force. */
import type { Issue } from '../core/errors.ts'
import { nearest } from '../core/ids.ts'
import { CONFIG_FILE_VARIABLE } from './config-file.ts'
import { listSettings } from './settings.ts'

/** Variables that are no settings: what Drover gives its children (which may call `drover`), and what the checks use. */
const OTHERS = [
  CONFIG_FILE_VARIABLE,
  'DROVER_SESSION_ID',
  'DROVER_TOOLS',
  'DROVER_ATTEMPT',
  'DROVER_AGENT_MARK',
  'DROVER_REQUIRE_CHROMIUM',
  'DROVER_WITNESS_DIR',
]

/** What tests mark and steer their processes with. */
const TESTS = /^DROVER_TEST_/

/** Kubernetes gives pods such variables for a Service named `drover`: `DROVER_SERVICE_HOST`, `DROVER_PORT_4680_TCP`. */
const SERVICE_LINK = /^DROVER_(?:SERVICE_(?:HOST|PORT)|PORT_\d)/

/** One issue for each `DROVER_…` variable that nothing reads. */
export function unknownVariables(env: Readonly<Record<string, string | undefined>>): Issue[] {
  const known = [...listSettings().map(({ setting }) => setting.env), ...OTHERS]
  return Object.keys(env)
    .filter((name) => name.startsWith('DROVER_') && !known.includes(name))
    .filter((name) => !TESTS.test(name) && !SERVICE_LINK.test(name))
    .toSorted()
    .map((name) => {
      const near = nearest(name, known)
      const hint = near === null ? 'docs/configuration.md lists the variables' : `did you mean "${near}"?`
      return { path: name, message: `environment ${name}: there is no such setting; ${hint}` }
    })
}

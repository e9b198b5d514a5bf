/** Where fetched tools live; several data directories may share 400 MB of them. */
import { join } from 'node:path'
import type { Config } from '../../config/settings.ts'

export function toolsDirOf(config: Config): string {
  return config.toolsDir ?? join(config.dataDir, 'tools')
}

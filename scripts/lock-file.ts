/** The rules of package-lock.json that `complete-lock.ts` keeps and a test proves. */
import { z } from 'zod'

const entrySchema = z.looseObject({
  version: z.string().optional(),
  resolved: z.string().optional(),
  integrity: z.string().optional(),
  dev: z.boolean().optional(),
  optional: z.boolean().optional(),
  os: z.array(z.string()).optional(),
  cpu: z.array(z.string()).optional(),
  libc: z.array(z.string()).optional(),
  optionalDependencies: z.record(z.string(), z.string()).optional(),
})
const lockSchema = z.looseObject({ packages: z.record(z.string(), entrySchema) })

export type LockEntry = z.output<typeof entrySchema>
/** What is read of a lock file; everything else in it is kept. */
export type LockFile = z.output<typeof lockSchema>

/** Parses the text of a package-lock.json, keeping the order of its members; throws on one that is none. */
export function parseLock(text: string): LockFile {
  const lock: unknown = JSON.parse(text)
  if (!isLock(lock)) throw new Error('this is no package-lock.json of lockfileVersion 2 or 3')
  return lock
}

function isLock(value: unknown): value is LockFile {
  return lockSchema.safeParse(value).success
}

/** An optional dependency that has no entry. */
export interface Missing {
  readonly wantedBy: string
  readonly name: string
  readonly version: string
}

const SYSTEMS = [
  'aix',
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
]
const PROCESSORS = [
  'arm',
  'arm64',
  'ia32',
  'loong64',
  'mips64el',
  'ppc64',
  'riscv64',
  's390x',
  'wasm32',
  'x64',
]
const C_LIBRARIES = new Map([
  ['gnu', 'glibc'],
  ['glibc', 'glibc'],
  ['musl', 'musl'],
])

/** The lock with an entry for each missing optional dependency and without download addresses. */
export function completeLock(lock: LockFile): {
  readonly complete: LockFile
  readonly added: readonly Missing[]
  readonly addressesRemoved: number
} {
  const added = missingOptional(lock)
  const entries = Object.entries(lock.packages).map(([path, entry]) => [path, withoutAddress(entry)] as const)
  const stubs = added.map(
    (missing) => [`node_modules/${missing.name}`, stub(missing, lock.packages[missing.wantedBy])] as const,
  )
  const sorted = [...entries, ...stubs].toSorted(([a], [b]) => (a < b ? -1 : 1))
  const addressesRemoved = Object.values(lock.packages).filter((entry) => 'resolved' in entry).length
  return { complete: { ...lock, packages: Object.fromEntries(sorted) }, added, addressesRemoved }
}

function withoutAddress(entry: LockEntry): LockEntry {
  const { resolved: _address, ...rest } = entry
  return rest
}

/** Optional dependencies of any package that the lock has no entry for where Node would look for them. */
export function missingOptional(lock: LockFile): Missing[] {
  const missing = new Map<string, Missing>()
  for (const [wantedBy, entry] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (!placesOf(wantedBy, name).some((place) => place in lock.packages)) {
        missing.set(name, { wantedBy, name, version })
      }
    }
  }
  return [...missing.values()]
}

/** Where a package of that name may be for `wantedBy`: in its own `node_modules`, then in each parent's. */
function placesOf(wantedBy: string, name: string): string[] {
  const parts = wantedBy === '' ? [] : wantedBy.split('/node_modules/')
  const parents = parts.map((_, index) => parts.slice(0, parts.length - index).join('/node_modules/'))
  return [...parents.map((parent) => `${parent}/node_modules/${name}`), `node_modules/${name}`]
}

function stub({ name, version }: Missing, wantedBy: LockEntry | undefined): LockEntry {
  if (!/^\d+\.\d+\.\d+[\w.+-]*$/.test(version)) {
    throw new Error(`${name} is wanted as "${version}", which is no exact version: add its entry by hand`)
  }
  const words = (name.split('/').at(-1) ?? '').split('-')
  const system = words.find((word) => SYSTEMS.includes(word))
  const processor = words.find((word) => PROCESSORS.includes(word))
  if (system === undefined && processor === undefined) {
    throw new Error(`the name ${name} says no platform: add its entry by hand`)
  }
  const library = C_LIBRARIES.get(words.find((word) => C_LIBRARIES.has(word)) ?? '')
  return {
    version,
    ...(processor === undefined ? {} : { cpu: [processor] }),
    // Else `npm ci --omit=dev` would install what only a development package wants.
    ...(wantedBy?.dev === true ? { dev: true } : {}),
    ...(library === undefined ? {} : { libc: [library] }),
    optional: true,
    ...(system === undefined ? {} : { os: [system] }),
  }
}
